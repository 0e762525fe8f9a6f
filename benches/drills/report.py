"""Lines of a drill: ok, BAD or note, with the seconds since its start."""
import sys, time

T0 = time.time()
passed = failed = 0


def say(kind, text):
    global passed, failed
    passed += kind == "ok"
    failed += kind == "BAD"
    print(f"[{time.time() - T0:6.1f}] {kind:4} {text}", flush=True)


def check(is_ok, text):
    say("ok" if is_ok else "BAD", text)
    return is_ok


def end():
    """Ends the drill: 1 if there was a BAD."""
    print(f"{passed} passed, {failed} failed")
    sys.exit(bool(failed))
