"""Ctrl-C that is never lost."""

import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_ONCE_IT_HAS_RETURNED_S: Final = 0.01


def keep_interrupts() -> None:
    """Raise an interrupt again that Python dropped.

    Python raises ``KeyboardInterrupt`` wherever the main thread happens to be. In a destructor, a weak
    reference's callback or a callback from C it ignores the exception and goes on as if nobody had pressed
    Ctrl-C; it only tells ``sys.unraisablehook``, which is replaced here.
    """
    tell = sys.unraisablehook

    def hook(unraisable: "UnraisableHookArgs", /) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            again = threading.Timer(_ONCE_IT_HAS_RETURNED_S, _interrupt_main_thread)
            again.daemon = True
            again.start()
        else:
            tell(unraisable)

    sys.unraisablehook = hook


def _interrupt_main_thread() -> None:
    # A real signal: `_thread.interrupt_main` would not wake a system call.
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)
