"""Sends an exception and a message through the real SDK; prints the ids."""
import sys

import sentry_sdk

sentry_sdk.init(dsn=sys.argv[1], release="shop@1.0", environment="test", traces_sample_rate=1.0)
sentry_sdk.set_user({"id": 5, "username": "bob"})


def pay(password, card):
    raise ValueError("bad value 42")


try:
    pay("hunter2", "4111 1111 1111 1111")
except ValueError:
    print(sentry_sdk.capture_exception())
print(sentry_sdk.capture_message("hello 17"))
with sentry_sdk.start_transaction(name="tx"):
    pass
sentry_sdk.flush()
