"use strict";
// Asks a snippet (the first argument) about each line of JSON; answers with one line each.

const readline = require("node:readline");
const { isGenuine } = require(require("node:path").resolve(process.argv[2]));

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { secret, id, timestamp, signatures, body } = JSON.parse(line);
  let said;
  try {
    said = { value: isGenuine(secret, id, timestamp, signatures, Buffer.from(body, "base64")) };
  } catch (error) {
    said = { error: error.message };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
});
