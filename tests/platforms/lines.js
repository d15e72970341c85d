"use strict";

// Answers each line of JSON on standard input with one on standard output. What is printed by
// whatever runs in between goes to standard error.

const readline = require("node:readline");

const answerLines = async (answer) => {
  console.log = console.info = console.debug = console.error;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const said = await Promise.resolve(JSON.parse(line))
      .then(answer)
      .then((value) => ({ value: value ?? null }))
      .catch(({ name, message }) => ({ error: { name, message } }));
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
};

module.exports = { answerLines };
