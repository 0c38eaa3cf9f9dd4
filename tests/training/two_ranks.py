"""A few training steps in double precision, alone and as one of two ranks: ``python two_ranks.py PLACE RANK``."""

import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from boundary_loss.data import Batch
from boundary_loss.losses import build
from boundary_loss.networks import build_network, outputs
from boundary_loss.training.ranks import Ranks
from boundary_loss.training.terms import ActiveTerm


def steps(ranks: Ranks) -> dict[str, torch.Tensor]:
    """Losses, gradients and weights: batches of 11, in uneven parts, and of 1, fewer than ranks."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(12, 2, 32, 32, generator=generator, dtype=torch.float64)
    labels = (torch.rand(12, 32, 32, generator=generator) > 0.7).long()
    mask = torch.rand(12, 1, 32, 32, generator=generator) > 0.2
    one_hot = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1) * mask.double()
    torch.manual_seed(0)
    net = build_network("UNet(width=2)+distances", 2, 2).double().train()
    net.unused = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))  # as ENet has some
    model, optimiser = ranks.parallel(net), torch.optim.Adam(net.parameters(), lr=1e-3)
    terms = [
        ActiveTerm("gdl", build("gdl"), None, over_items=True, takes_mask=True),
        ActiveTerm("ce", build("ce", classes=[1]), None, takes_mask=True),  # no mean over items
        ActiveTerm("sdf", build("sdf"), None, "distances", over_items=True, takes_spacing=True, takes_mask=True),
        ActiveTerm("gathered", build("sdf", classes=[1]), None, "distances", takes_spacing=True, takes_mask=True),
    ]
    spacings = 0.5 + torch.rand(12, 2, generator=generator)
    losses = []
    for drawn in [*torch.arange(12).split(11)] * 2:
        part = ranks.part(drawn)
        ranks.begin(net, part)
        found = outputs(model(images[part.rows]))
        found["probs"] = found["logits"].softmax(dim=1)
        rows = part.rows
        batch = Batch(
            index=rows, names=[], inputs=(), labels=labels[rows], gt=one_hot[rows], maps={}, mask=mask[rows],
            spacings=spacings[rows],
        )  # fmt: skip
        values = [ranks.value(term, found, batch, part) for term in terms]
        losses.append(ranks.add_up(torch.stack([value.detach() for value in values])))
        optimiser.zero_grad()
        (ranks.size * torch.stack(values).sum()).backward()
        optimiser.step()
    gradients = {f"gradient of {name}": weight.grad for name, weight in net.named_parameters() if name != "unused"}
    return {"losses": torch.stack(losses)} | gradients | net.state_dict()


def main(place: Path, rank: int) -> None:
    store = dist.FileStore(str(place / "store"), 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(minutes=2))
    groups = [dist.new_group([other]) for other in range(2)]
    together = steps(Ranks(rank, 2, groups[rank]))
    alone = steps(Ranks())
    for name, expected in alone.items():
        # a bias before a norm has no gradient but rounding, of which Adam makes steps; the norm takes it away again
        assert torch.allclose(together[name], expected, rtol=1e-9, atol=1e-9), name
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
