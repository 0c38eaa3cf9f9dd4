import copy

import pytest
import torch
from torch.nn import functional as F

from boundary_loss.losses import BoundaryLoss, DiceLoss
from boundary_loss.losses.regression import sdf_to_probs
from boundary_loss.networks import VNet, build_network
from boundary_loss.networks.attention import ParallelAttention, SerialAttention

ATRIA = "VNet"
MIDL = "VNet(kernel=3,width=16,norm=batch,dropout=0.5,blocks=plain)"
# Parameters of the published networks, for one modality and two classes
COUNTS = {
    ATRIA: 10_759_546,
    "VNet(layers=2)": 16_200_506,
    "VNet(attention=serial)": 10_759_546 + 91_083,
    "VNet(attention=parallel,dilation=3)": 10_759_546 + 91_083,
    MIDL: 9_448_866 - 17,  # one logit instead of two: 16 weights and a bias
}
SMALL = [
    "VNet(width=2)",
    "VNet(width=3,layers=2,encoder_dilation=2)",
    "VNet(width=4,attention=serial)",
    "VNet(width=4,attention=parallel,norm=group,branch=shared)",
    "VNet(width=2,kernel=3,norm=batch,dropout=0.5,blocks=plain)",
    "VNet(width=2,kernel=3,norm=instance,levels=1-2-1,dropout=0.3)",
]


def image(*sizes, items=2, channels=2):
    return torch.rand(items, channels, *sizes, generator=torch.Generator().manual_seed(0))


def made(text, classes=2):
    torch.manual_seed(0)
    return build_network(text, 2, classes)


def step(network, given, amp=False):
    """Logits, gradients and running statistics after one backward pass."""
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=amp):
        logits = network(given)
    logits.float().square().mean().backward()
    return [logits.detach(), *(p.grad for p in network.parameters()), *network.buffers()]


@pytest.mark.parametrize("text", COUNTS)
def test_parameter_counts_are_the_published(text):
    with torch.device("meta"):
        network = build_network(text, 1, 2)
    assert sum(p.numel() for p in network.parameters()) == COUNTS[text]


@pytest.mark.parametrize("text", SMALL)
@pytest.mark.parametrize("sizes", [(17, 33, 5), (1, 16, 20)])
def test_any_size_and_every_parameter_has_a_finite_gradient(text, sizes):
    network = made(text, classes=4)
    logits = network(image(*sizes))
    assert logits.shape == (2, 4, *sizes)
    logits.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("text", SMALL)
def test_a_single_small_volume_can_be_trained_on_and_predicted(text):
    """The deepest norm, and that of a channel gate, would see one value a channel, which has no variance."""
    network = made(text)
    answer = network(image(3, 7, 1, items=1))
    answer.square().mean().backward()
    assert answer.shape == (1, 2, 3, 7, 1) and answer.isfinite().all()
    assert network.eval()(image(3, 7, 1, items=1)).isfinite().all()


def test_two_classes_have_one_logit_and_the_softmax_of_its_sigmoid():
    network = made("VNet(width=2)")
    logits = network(image(16, 16, 16))
    assert network.out[0].out_channels == 1 and not logits[:, 0].any() and logits[:, 1].any()
    torch.testing.assert_close(logits.softmax(1)[:, 1], logits[:, 1].sigmoid())
    assert made("VNet(width=2)", classes=1)(image(16, 16, 16)).shape == (2, 1, 16, 16, 16)
    assert made("VNet(width=2)", classes=3).out[0].out_channels == 3


@pytest.mark.parametrize(
    ("text", "amp"),
    [
        *((text, False) for text in SMALL),
        ("VNet(width=2,kernel=3,norm=batch,dropout=0.5)", True),
        ("VNet(width=4,kernel=1,levels=1-1,attention=serial,dilation=1)", True),
    ],
)
def test_recomputing_gives_the_same_bits(text, amp):
    given = image(9, 10, 9)
    kept, anew = made(text), made(text.replace(")", ",recompute=true)"))
    results = zip(step(kept, given, amp), step(anew, given, amp), strict=True)
    assert all(torch.equal(a, b) for a, b in results)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("amp", [False, True])
def test_recomputing_on_a_gpu(amp):
    given = image(40, 24, 17).cuda()
    results = []
    for recompute in ("false", "true"):
        network = made(f"VNet(width=4,norm=batch,attention=serial,recompute={recompute})").cuda()
        with torch.backends.cudnn.flags(enabled=True, deterministic=True):
            with torch.autocast("cuda", torch.bfloat16, enabled=amp):
                logits = network(given)
            logits.float().square().mean().backward()
        results.append([logits.detach(), *(p.grad for p in network.parameters()), *network.buffers()])
    for kept, anew in zip(*results, strict=True):
        torch.testing.assert_close(anew, kept)


def test_recomputing_keeps_fewer_values():
    def kept(text):
        counted = {}
        with torch.autograd.graph.saved_tensors_hooks(lambda t: counted.setdefault(t.data_ptr(), t), lambda t: t):
            answer = made(text)(image(32, 32, 16))
        assert answer.requires_grad
        return sum(t.numel() for t in counted.values())

    assert kept("VNet(width=4,recompute=true)") < kept("VNet(width=4)") / 2


def test_recomputing_when_not_training_is_the_plain_network():
    network = made("VNet(width=2,norm=batch,recompute=true)").eval()
    before = copy.deepcopy(network.state_dict())
    network(image(16, 16, 16)).sum().backward()
    with torch.no_grad():
        network.train()(image(16, 16, 16))
    moved = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert moved and all("running" in name or "num_batches" in name for name in moved)


@pytest.mark.parametrize(
    "text", ["VNet(kernel=3,levels=1-1,norm=batch)", "VNet(kernel=3,levels=1-1,norm=batch,recompute=true)"]
)
def test_traced_for_the_compiler(text):
    plain, traced = made(text), made(text)
    expected = step(plain, image(5, 4, 4))
    compiled = torch.compile(traced, backend="aot_eager", fullgraph=True)
    torch.manual_seed(1)
    logits = compiled(image(5, 4, 4))
    logits.square().mean().backward()
    found = [logits.detach(), *(p.grad for p in traced.parameters()), *traced.buffers()]
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b, a)


@pytest.mark.parametrize("text", ["VNet(width=2)", "VNet(width=4,attention=serial)"])
def test_mirrored_weights_give_mirrored_answers(text):
    network, given = made(text).eval(), image(16, 32, 16)
    mirrored = copy.deepcopy(network)
    for module in mirrored.modules():
        if isinstance(module, torch.nn.Conv3d | torch.nn.ConvTranspose3d):
            module.weight.data = module.weight.data.flip(3)
    torch.testing.assert_close(mirrored(given.flip(3)), network(given).flip(3))


def test_the_shared_branch_differs_by_the_dropout_before_its_head():
    network = made("VNet(width=2,blocks=plain,dropout=0.9,branch=shared)+distances")
    net, k = network.net, network.num_classes
    net.head.load_state_dict(net.out.state_dict())
    given = image(16, 16, 16)
    assert not torch.equal(net(given)[:, :k], net(given)[:, k:])
    both = net.eval()(given)
    assert both.shape[1] == 2 * k
    assert torch.equal(both[:, :k], both[:, k:])


def test_attention_with_closed_gates_passes_what_comes_in():
    """Gates of σ = 0: the outer skips remain, x + x in series and x in parallel."""
    x = image(4, 5, 6, channels=8)
    for attention, copies in ((SerialAttention(8), 2), (ParallelAttention(8), 1)):
        for last in (attention.channels.widen, attention.places[-1]):
            last.weight.data.zero_()
            last.bias.data.fill_(-50)
        torch.testing.assert_close(attention(x), copies * x)


def test_attention_reads_channels_and_places():
    """The channel gate is the same everywhere; the spatial gate is the same of all channels."""
    attention = ParallelAttention(8, reduction=2, dilation=2).eval()
    x = image(7, 6, 5, channels=8)
    assert attention.channels(x).shape == (2, 8, 1, 1, 1)
    assert attention.places(x).shape == (2, 1, 7, 6, 5)
    assert torch.equal(attention.channels(x), attention.channels(x.flip(2, 3, 4)))
    far = x.clone()
    far[:, :, 0] += 1  # two convolutions of dilation 2 reach 4 voxels
    assert torch.equal(attention.places(far)[:, :, 5:], attention.places(x)[:, :, 5:])
    assert not torch.equal(attention.places(far)[:, :, 4], attention.places(x)[:, :, 4])


@pytest.mark.parametrize("voxels", [0, 40])
def test_learns_with_and_without_an_object(voxels):
    """From the losses of the atria: Dice, which an absent object has too, and the boundary loss."""
    torch.manual_seed(0)
    network = build_network("VNet(width=4,kernel=3,levels=1-1-2)", 1, 2)
    x, y, z = torch.meshgrid(torch.arange(16), torch.arange(16), torch.arange(16), indexing="ij")
    inside = (x - 8) ** 2 + (y - 7) ** 2 + (z - 8) ** 2 < voxels
    truth = torch.stack([~inside, inside])[None].float()
    phi = torch.where(inside, -1.0, 1.0)[None, None].expand(1, 2, -1, -1, -1)
    optimiser = torch.optim.Adam(network.parameters(), 0.003)
    dice, boundary = DiceLoss(idc=[1]), BoundaryLoss(idc=[1])
    values = []
    for _ in range(20):
        probs = network(inside[None, None].float() + 0.1).softmax(1)
        loss = dice(probs, truth) + boundary(probs, phi)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert torch.tensor(values).isfinite().all() and values[-1] < values[0] - 0.1


def test_a_planar_image_is_refused():
    with pytest.raises(ValueError, match=r"takes 3D images \(B, C, X, Y, Z\), got shape \(2, 2, 16, 16\)"):
        made("VNet(width=1)")(image(16, 16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("kernel=4", "the kernel must be odd, got 4"),
        ("width=0", "width must be at least 1"),
        ("dilation=0", "dilation must be at least 1"),
        ("dropout=1", "dropout must be at least 0 and below 1"),
        ("norm=layer", "norm=layer is unknown; known: none, batch, instance, group"),
        ("attention=true", "expected 'none' or 'serial' or 'parallel'"),
        ("blocks=dense", "known: residual, plain"),
        ("levels=1-0-2", "levels=1-0-2 are not counts of convolutions, as 1-2-3-3-3"),
        ("levels=1-", "are not counts"),
        ("levels=1-2,layers=2", "give one of them"),
        ("recompute=2", "expected bool"),
    ],
)
def test_what_cannot_be_built_is_explained(options, message):
    with pytest.raises(ValueError, match=message):
        build_network(f"VNet({options})", 1, 2)


def test_a_distance_branch_is_read_as_a_segmentation():
    """The probability of the object is a step where the distance changes its sign: negative inside."""
    network = made("VNet(width=2,branch=distance)+distances").eval()
    answer = network(image(16, 16, 16))
    assert answer["logits"].shape == answer["distances"].shape == (2, 2, 16, 16, 16)
    expected = sdf_to_probs(answer["distances"][:, 1].tanh())
    torch.testing.assert_close(answer["logits"].softmax(1)[:, 1], expected)


def test_a_shared_branch_needs_two_halves():
    with pytest.raises(ValueError, match="even number"):
        VNet(1, 3, branch="shared")


def test_the_first_level_adds_the_mean_of_the_modalities():
    network = made("VNet(width=2)")
    given = image(16, 16, 16)
    first = network.down[0]
    assert torch.equal(first(given), first.convs(given) + given.mean(1, keepdim=True))
    one = build_network("VNet(width=2)", 1, 2).down[0]
    torch.testing.assert_close(
        one(given[:, :1]) - F.prelu(one.convs[0][0](given[:, :1]), one.convs[0][1].weight),
        given[:, :1].expand(-1, 2, -1, -1, -1),
    )
