"""The losses that a ledger can name."""

import inspect
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from torch import nn

from boundary_loss.call_syntax import check_options, import_named
from boundary_loss.losses.base import Loss
from boundary_loss.losses.hausdorff import HausdorffErosionLoss, HausdorffLoss
from boundary_loss.losses.head import HEADS, HeadLoss
from boundary_loss.losses.ledger_boundary import LedgerBoundaryLoss
from boundary_loss.losses.region import CrossEntropy, DiceLoss, FocalLoss, GeneralizedDice, TverskyLoss
from boundary_loss.owncode import explained

LOSSES: dict[str, type[Loss]] = {
    "ce": CrossEntropy,
    "focal": FocalLoss,
    "dice": DiceLoss,
    "diceloss": DiceLoss,
    "gdl": GeneralizedDice,
    "tversky": TverskyLoss,
    "boundary": LedgerBoundaryLoss,
    "surface": LedgerBoundaryLoss,
    "hausdorff": HausdorffLoss,
    "hausdorff_erosion": HausdorffErosionLoss,
}
"""Of the probabilities; those of a distance head are :data:`boundary_loss.losses.head.HEADS`."""

SHARED = frozenset(inspect.signature(Loss).parameters)


def options(name: str) -> dict[str, inspect.Parameter]:
    """The options that a ledger may give to a loss, with their types and defaults.

    Its own, that is: the ones that all losses share (activation, reduction, ...) are the pipeline's to set.
    """
    found: dict[str, inspect.Parameter] = {}
    for cls in find(name).__mro__:
        if cls in (Loss, HeadLoss):
            break
        for option, parameter in inspect.signature(cls).parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and option not in SHARED:
                found.setdefault(option, parameter)
    return found


def find(name: str) -> type[Loss] | type[HeadLoss]:
    known: dict[str, type[Loss] | type[HeadLoss]] = {**LOSSES, **HEADS}
    if name not in known:
        raise ValueError(f"unknown loss '{name}'; known: {', '.join(sorted(known))}")
    return known[name]


def build(name: str, *, classes: Sequence[int] | None = None, **given: Any) -> nn.Module:
    """The loss of that name with these options; ``build("gdl", classes=[0, 1], absent="penalise")``.

    Values may be text, as in a ledger; numbers are read from it. A loss of your own is named by its import path,
    ``mypackage.losses:MyLoss``: a module called as ``loss(probs, one_hot)``, made with the options as they are, and
    with ``classes`` if it takes them; with ``target = "distance"`` it gets signed distance maps, as BoundaryLoss,
    with ``reads = "distances"`` the network's distance head instead of the probabilities, as HeadLoss, and with
    ``takes_spacing = True`` the keyword ``spacing_mm``, (B, D) mm, as HausdorffLoss. With ``takes_mask = True`` it gets
    the keyword ``mask``, (B, 1, ...) bool, True where a voxel counts, or None if all do; without, probabilities and
    one-hot labels are zero in ignored voxels.

    Raises:
        ValueError: unknown name or option, with the known ones; a value of the wrong type or out of range.
    """
    if ":" in name:
        return build_own(name, classes, given)
    known = options(name)
    for option in given:
        if option not in known:
            described = ", ".join(f"{known_option}={p.default}" for known_option, p in known.items())
            raise ValueError(f"loss '{name}' has no option '{option}'; it has: {described or 'none'}")
    try:
        return find(name)(classes=classes, **{o: read(o, v, known[o].annotation) for o, v in given.items()})
    except ValueError as error:
        raise ValueError(f"loss '{name}': {error}") from None


def build_own(path: str, classes: Sequence[int] | None, given: dict[str, Any]) -> nn.Module:
    """A loss that is not ours, by import path."""
    made = import_named(path, "loss")
    check_options(path, made, given, filled="classes")
    takes_classes = "classes" in inspect.signature(made).parameters
    with explained(f"loss '{path}' cannot be built"):
        loss = made(classes=classes, **given) if takes_classes else made(**given)
    if not isinstance(loss, nn.Module):
        raise ValueError(f"{path} made a {type(loss).__name__}, not a torch.nn.Module")
    return loss


def read(option: str, value: Any, kind: Any) -> Any:
    """A value as its annotation says, from the value itself or from its text."""
    optional = type(None) in get_args(kind)
    if optional and value in (None, "none", "None"):
        return None
    wanted = next(member for member in get_args(kind) if member is not type(None)) if optional else kind
    outer = get_origin(wanted) or wanted
    if outer is bool and str(value) in ("True", "true", "False", "false"):
        return str(value).lower() == "true"
    if outer is Sequence and isinstance(value, list | tuple):
        return value
    if outer in (str, Literal) and isinstance(value, str):
        return value
    if outer in (int, float) and isinstance(value, str | int | outer) and not isinstance(value, bool):
        try:
            return outer(value)
        except ValueError:
            pass
    expected = " or ".join(map(repr, get_args(wanted))) if outer is Literal else getattr(outer, "__name__", outer)
    raise ValueError(f"{option}={value!r} does not fit; expected {expected}")
