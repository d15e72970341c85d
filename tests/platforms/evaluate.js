"use strict";

// {source}: the value of an expression. {files, main}: what the module `main` of a project exports,
// which is given as texts; functions are told by their number of parameters.

const path = require("node:path");

const { answerLines } = require("./lines");

const evaluate = (source) => new Function(`"use strict"; return (${source}\n);`)();

const load = (files, name) => {
  if (name.startsWith("node:")) {
    return require(name);
  }
  if (name === "zapier-platform-core") {
    return { version: JSON.parse(files["package.json"]).dependencies[name] };
  }
  const file = [name, `${name}.js`].find((one) => one in files);
  if (file.endsWith(".json")) {
    return JSON.parse(files[file]);
  }
  const module = { exports: {} };
  const beside = (other) =>
    load(files, other.startsWith(".") ? path.posix.join(path.posix.dirname(file), other) : other);
  new Function("module", "require", files[file])(module, beside);
  return module.exports;
};

const told = (value) => {
  if (typeof value === "function") {
    return `$func$${value.length}$f$`;
  }
  if (Array.isArray(value)) {
    return value.map(told);
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  // fromEntries makes even `__proto__` a member like any other.
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, told(part)]));
};

answerLines(({ source, files, main }) =>
  files ? told(load(files, main)) : evaluate(source),
);
