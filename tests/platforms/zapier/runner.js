"use strict";

// Runs an emitted project in Zapier's own runtime. {project, event}: what the project's handler
// answers to an event, as it would on Zapier's servers.

const { answerLines } = require("../lines");

const handlers = {};

const handlerOf = (project) => {
  const core = require(require.resolve("zapier-platform-core", { paths: [project] }));
  return core.createAppHandler(require(project));
};

// Core writes below an error's message what it had done before; here only the message counts.
const withoutStory = (error) => {
  error.message = error.message.split("\nWhat happened:\n")[0];
  throw error;
};

answerLines(async ({ project, event }) => {
  handlers[project] ??= handlerOf(project);
  return (await handlers[project](event).catch(withoutStory)).results;
});
