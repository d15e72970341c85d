"use strict";

// {modules, library, secret, headers, body}: asks a library's verifier, as a receiver would.
// {modules, library, secret, sign, at, body}: lets it sign message `sign` at `at`, in seconds.
// {publicKey, headers, body}: checks v1a, which no library has, with Node's own ed25519.

const crypto = require("node:crypto");

const { answerLines } = require("../lines");

const DER_OF_ED25519 = Buffer.from("302a300506032b6570032100", "hex");

const isByPublicKey = ({ publicKey, headers, body }) => {
  const raw = Buffer.from(publicKey.replace("whpk_", ""), "base64");
  const key = crypto.createPublicKey({
    key: Buffer.concat([DER_OF_ED25519, raw]),
    format: "der",
    type: "spki",
  });
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const signature = headers["webhook-signature"].replace("v1a,", "");
  return crypto.verify(null, Buffer.from(signed), key, Buffer.from(signature, "base64"));
};

answerLines(({ modules, library, secret, headers, body, publicKey, sign, at }) => {
  if (publicKey) {
    return isByPublicKey({ publicKey, headers, body });
  }
  const { Webhook } = require(require.resolve(library, { paths: [modules] }));
  if (sign) {
    return new Webhook(secret).sign(sign, new Date(at * 1000), body);
  }
  new Webhook(secret).verify(body, headers);
  return true;
});
