// Sends a message and an exception through the real SDK; prints the ids.
const Sentry = require("@sentry/node");

Sentry.init({ dsn: process.argv[2], release: "shop@1.0", tracesSampleRate: 1.0 });
console.log(Sentry.captureMessage("node msg"));
try {
  throw new TypeError("x is undefined");
} catch (error) {
  console.log(Sentry.captureException(error));
}
Sentry.flush(5000).then((flushed) => process.exit(flushed ? 0 : 1));
