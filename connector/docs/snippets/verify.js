const crypto = require("node:crypto");

const TOLERANCE = 300; // seconds

// Tells whether a webhook is from whom it should be, and new. body: a Buffer of the bytes as they came.
function isGenuine(secret, id, timestamp, signatures, body) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  if (key.length < 24) throw new Error("this is not the signing secret of a subscription");
  if (!id || !timestamp || !signatures || id.includes(".")) return false;
  if (!/^[0-9]{1,12}$/.test(timestamp)) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE) return false;
  const hmac = crypto.createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body);
  const expected = Buffer.from(`v1,${hmac.digest("base64")}`);
  return signatures.split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && crypto.timingSafeEqual(given, expected);
  });
}

module.exports = { isGenuine };

// In Express:
//
// app.post("/hook", express.raw({ type: "*/*" }), (request, response) => {
//   const names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
//   const values = names.map((name) => request.get(name));
//   if (!isGenuine(SECRET, ...values, request.body)) return response.sendStatus(401);
//   const event = JSON.parse(request.body);
//   response.sendStatus(204);
// });
