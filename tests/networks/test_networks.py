import sys

import pytest
import torch
from torch.nn import functional as F

from boundary_loss.networks import NETWORKS, ENet, UNet, build_network
from boundary_loss.networks.blocks import at_multiple
from boundary_loss.networks.enet import pool, unpool

# Parameters of the published networks: (in channels, classes): {network: count}
COUNTS = {
    (5, 2): {"Dimwit": 392, "UNet": 18_704_855, "ENet": 461_385, "ResidualUNet": 19_646_402, "UNet3D": 56_090_711},
    (1, 4): {"Dimwit": 414, "UNet": 18_702_681, "ENet": 463_475, "ResidualUNet": 19_645_828, "UNet3D": 56_083_929},
}
SMALL = [
    *("Dimwit", "UNet(width=4)", "ENet(kernels=4, factor=2)", "ResidualUNet(width=4)"),
    *("Dimwit3D", "UNet3D(width=2)", "VNet(width=2, kernel=3)"),
]


def image(text, *, channels=3, sizes=(24, 20, 9)):
    dims = 3 if "3D" in text or "VNet" in text else 2
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, channels, *sizes[:dims], generator=generator)


@pytest.mark.parametrize("channels_classes", COUNTS)
@pytest.mark.parametrize("name", COUNTS[1, 4])
def test_parameter_counts_are_the_published(name, channels_classes):
    with torch.device("meta"):
        network = NETWORKS[name](*channels_classes)
    assert sum(p.numel() for p in network.parameters()) == COUNTS[channels_classes][name]


@pytest.mark.parametrize("text", SMALL)
def test_any_size_and_any_number_of_channels(text):
    for channels in (1, 3, 17):
        network = build_network(text, channels, 4)
        given = image(text, channels=channels)
        assert network(given).shape == (2, 4, *given.shape[2:])


@pytest.mark.parametrize("text", SMALL)
def test_a_distance_head_beside_the_segmentation(text):
    network = build_network(text + "+distances", 3, 4).eval()
    given = image(text)
    found = network(given)
    assert list(found) == ["logits", "distances"]
    assert found["logits"].shape == found["distances"].shape == (2, 4, *given.shape[2:])
    torch.testing.assert_close(torch.cat(list(found.values()), dim=1), network.net(given), rtol=0, atol=0)
    with pytest.raises(ValueError, match="unknown network 'UNot'"):
        build_network("UNot+distances", 3, 4)


@pytest.mark.parametrize("sizes", [(16, 24), (17, 23), (1, 30), (9, 10, 11)])
def test_padding_is_centred_and_cropped_again(sizes):
    given = torch.rand(2, 3, *sizes)
    seen = []
    answer = at_multiple(lambda padded: seen.append(padded) or padded, given, 8, dims=len(sizes))
    assert torch.equal(answer, given)
    assert all(size % 8 == 0 and size - ours < 8 for size, ours in zip(seen[0].shape[2:], sizes))
    assert seen[0].sum().isclose(given.sum())


@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 5, 3), (8, 8, 8)])
@pytest.mark.parametrize("text", SMALL)
def test_a_single_small_image_can_be_trained_on(text, sizes):
    """The deepest batch norm would see one value a channel, which has no variance."""
    network = build_network(text, 3, 2)
    given = image(text, sizes=sizes)[:1]
    answer = network(given)
    assert answer.shape == (1, 2, *given.shape[2:]) and answer.isfinite().all()
    answer.square().mean().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)
    assert network.eval()(given).isfinite().all()


@pytest.mark.parametrize(("images", "size", "training"), [(2, (7, 5), True), (1, (7, 9), True), (1, (7, 5), False)])
def test_other_images_are_padded_to_one_multiple(images, size, training):
    norm = torch.nn.BatchNorm2d(1).train(training)
    seen = []
    at_multiple(lambda padded: seen.append(padded) or padded, torch.rand(images, 1, *size), 8, dims=2, normed=norm)
    assert seen[0].shape[2:] == (8, 8 if size[1] < 9 else 16)


@pytest.mark.parametrize("text", SMALL)
def test_every_used_parameter_has_a_finite_gradient(text):
    network = build_network(text.replace("factor=2", "factor=2, heads=1"), 3, 2)
    network(image(text)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("text", SMALL)
def test_one_seed_gives_the_same_weights_and_the_same_gradients(text):
    torch.use_deterministic_algorithms(True)
    try:
        results = []
        for _ in range(2):
            torch.manual_seed(3)
            network = build_network(text, 3, 2)
            network(image(text)).square().mean().backward()
            results.append([p.grad for p in network.parameters() if p.grad is not None])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_initial_weights():
    network = UNet(1, 2, width=16)
    norms = torch.cat([m.weight for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)])
    assert abs(norms.mean() - 1) < 0.005 and abs(norms.std() - 0.02) < 0.005
    conv = network.level2[1][0].weight
    assert abs(conv.std() / (2 / (64 * 9 + 64 * 9)) ** 0.5 - 1) < 0.05
    assert not network.out.bias.any()
    volumes = NETWORKS["Dimwit3D"](2, 2)
    assert abs(volumes.layers[0].weight.std() / (2 / (2 * 8 + 10 * 8)) ** 0.5 - 1) < 0.25


def test_unpool_undoes_pool_and_equals_pytorch():
    x = torch.rand(2, 3, 6, 10)
    values, corners = pool(x)
    expected_values, places = F.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(values, expected_values)
    assert torch.equal(unpool(values, corners), F.max_unpool2d(expected_values, places, 2))
    assert torch.equal(pool(unpool(values, corners))[1], corners)


def test_enet_deep_supervision():
    network = ENet(2, 3)
    outputs = network.eval().deep(torch.rand(1, 2, 32, 16))
    assert [tuple(o.shape) for o in outputs] == [(1, 3, 8, 4), (1, 3, 16, 8), (1, 3, 32, 16)]
    with pytest.raises(ValueError, match="multiples of 8"):
        network.deep(torch.rand(1, 2, 30, 16))
    with pytest.raises(ValueError, match="heads=3"):
        ENet(2, 3, heads=1).deep(torch.rand(1, 2, 32, 16))


@pytest.mark.parametrize("text", ["UNet(width=4)", "ENet"])
def test_learns_a_disc(text):
    torch.manual_seed(0)
    x, y = torch.meshgrid(torch.arange(24), torch.arange(20), indexing="ij")
    disc = (((x - 12) ** 2 + (y - 8) ** 2) < 30).float()[None, None]
    network = build_network(text, 1, 1)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    losses = []
    for _ in range(25):
        loss = F.binary_cross_entropy_with_logits(network(disc), disc)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("UNett", "unknown network 'UNett'; known: Dimwit, UNet, ENet"),
        ("UNet(depth=3)", r"network 'UNet' has no option 'depth'; it is written UNet\(width=64\)"),
        ("UNet(width=wide)", "expected int"),
        ("UNet(width=true)", "expected int"),
        ("UNet(width=0)", "width must be at least 1"),
        ("UNet(8)", r"no place for the value 8; it is written UNet\(width=64\)"),
        ("ENet(kernels=2)", "kernels must be at least"),
        ("ENet(heads=2)", "heads must be 1 or 3"),
        ("no.such.module:Net", "No module named 'no'"),
        ("boundary_loss.networks:Nope", "has no Nope"),
        ("boundary_loss.networks:__all__", "not a class"),
        ("builtins:complex", "not a torch.nn.Module"),
    ],
)
def test_what_cannot_be_built_is_explained(text, message):
    with pytest.raises(ValueError, match=message):
        build_network(text, 3, 2)


def test_your_own_network_by_import_path(tmp_path, monkeypatch):
    (tmp_path / "mynets.py").write_text(
        "from torch import nn\n"
        "class Tiny(nn.Conv2d):\n"
        "    def __init__(self, in_channels, num_classes, kernel=1):\n"
        "        super().__init__(in_channels, num_classes, kernel)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    network = build_network("mynets:Tiny(kernel=3)", 5, 2)
    assert network.weight.shape == (2, 5, 3, 3)
    sys.modules.pop("mynets")


def test_wrong_number_of_axes():
    with pytest.raises(ValueError, match="takes 2D images"):
        build_network("Dimwit", 1, 2)(torch.rand(1, 4, 4))
    with pytest.raises(ValueError, match="takes 3D images"):
        build_network("UNet3D(width=1)", 1, 2)(torch.rand(1, 1, 8, 8))
