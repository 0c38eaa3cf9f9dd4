"""The texts that explain each number of a report."""

from boundary_loss.empty_masks import RULE
from boundary_loss.metric_definitions import METRICS

DEFINITIONS = {name: metric.definition for name, metric in METRICS.items()}
EMPTY_RULE = RULE

CHOICE_OF_EPOCH = (
    "The best epoch of each run was chosen on the same validation cases that are reported here, which is optimistic; "
    "the last epoch is free of that choice."
)
