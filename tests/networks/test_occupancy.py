"""OSS-Net and O-Net: their parts against single operations of PyTorch, their sizes against the papers."""

import pytest
import torch
from torch.nn import functional as F

from boundary_loss.networks import build_network, pade
from boundary_loss.networks.occupancy import CONFIGURATIONS
from boundary_loss.networks.occupancy_decoder import ConditionalNorm, PatchEncoder, joined
from boundary_loss.networks.occupancy_encoder import halved, max_pooled
from boundary_loss.networks.patches import PatchView
from boundary_loss.training.optimisers import grouped
from boundary_loss.training.sharednorm import HostSyncBatchNorm, share_statistics

# Millions of parameters as published: name: (BraTS, LiTS)
PUBLISHED = {
    "onet": (6.89, 9.06),
    "oss_a": (7.25, 9.41),
    "oss_b": (7.25, 9.41),
    "oss_c": (8.70, 10.87),
    "oss_d": (8.70, 10.87),
}
TINY = "width=12,channels=8"


def counted(name, channels, levels):
    """The parameters, layer by layer, from the description in the paper."""
    patches, encoder, aux = (getattr(CONFIGURATIONS[name], key) for key in ("patches", "encoder", "aux"))
    latent = {4: 8 * 8 * 5, 5: 8 * 8 * 8}[levels]
    deep = [128 // 2**level for level in range(levels)][::-1]
    unit, total = 10, 0
    for cin, cout in zip([channels, *deep], deep):
        total += 27 * cin * cout + 27 * cout**2 + cin * cout + 4 * cout + 2 * unit
    if encoder == "plain":
        total += 125 * deep[-1] + 1 + 2 + unit
    else:
        total += sum(125 * width * width // 2 + width + unit for width in deep)
        total += 125 * sum(width // 2 for width in deep) * 6 + 6 + 12 + unit
    total += 125 * deep[-1] if aux else 0
    seen = channels * {"none": 0, "7": 1, "7+14": 2}[patches]
    if seen:
        hidden = max(seen // 2, 1)
        total += 343 * seen * hidden + hidden + 343 * hidden + 1 + 2 * unit
    features = 3 + (343 if seen else 0) + latent
    for cin in (features, 512, 512, 512, 512):
        total += cin * 512 + 512 + 512 * 512 + 512 + 4 * (latent * 512 + 512) + 2 * unit
        total += cin * 512 + 512 if cin != 512 else 0
    return total + 512


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(("channels", "levels"), [(4, 4), (1, 5)])
def test_parameter_counts_are_the_published(name, channels, levels):
    with torch.device("meta"):
        network = build_network(f"OSSNet(config={name},levels={levels})", channels, 2)
    count = sum(p.numel() for p in network.parameters())
    assert count == counted(name, channels, levels)
    assert round(count / 1e6, 2) == PUBLISHED[name][levels - 4]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def places(points, sizes, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, points, 3, generator=generator) * (torch.tensor(sizes) - 1)


def network(text="", *, channels=2, classes=2, seed=0):
    torch.manual_seed(seed)
    return build_network(f"OSSNet({text}{',' if text else ''}{TINY})", channels, classes)


def randomised(net):
    """Latents matter to a fresh network only as an input: give the conditional norms random weights too."""
    for module in net.modules():
        if isinstance(module, ConditionalNorm):
            torch.nn.init.normal_(module.scale.weight, 0, 0.1)
            torch.nn.init.normal_(module.shift.weight, 0, 0.1)
    return net


@pytest.mark.parametrize("sizes", [(9, 7, 5), (1, 20, 3)])
def test_patches_equal_slices(sizes):
    volume = draw(2, 3, *sizes)
    points = torch.tensor([[0, 0, 0], [sizes[0] - 1, sizes[1] - 1, sizes[2] - 1], [0, 5, 2]])
    patches = PatchView.of(volume, wide=True).at(1, points)
    assert patches.shape == (3, 6, 7, 7, 7)
    near, wide = F.pad(volume[1], (3,) * 6), F.pad(volume[1], (7, 6) * 3)
    for patch, (x, y, z) in zip(patches, points.tolist()):
        assert torch.equal(patch[:3], near[:, x : x + 7, y : y + 7, z : z + 7])
        cube = wide[:, x : x + 14, y : y + 14, z : z + 14]
        torch.testing.assert_close(patch[3:], F.avg_pool3d(cube, 2))


def test_patches_between_and_outside_the_voxels_are_those_of_the_nearest():
    view = PatchView.of(draw(1, 1, 6, 5, 4))
    given = view.at(0, torch.tensor([[1.4, 2.6, -3.0], [9.0, 1.0, 3.2]]))
    assert torch.equal(given, view.at(0, torch.tensor([[1, 3, 0], [5, 1, 3]])))


@pytest.mark.parametrize("wide", [False, True])
def test_patches_between_voxels_are_interpolated(wide):
    """Of a volume that is linear in the position, so is every entry of a patch that no edge cuts."""
    x, y, z = torch.meshgrid(*(torch.arange(20.0) for _ in range(3)), indexing="ij")
    volume = (x + 2 * y - 3 * z)[None, None]
    view = PatchView.of(volume, wide=wide)
    points = 8 + 4 * torch.rand(30, 3, generator=torch.Generator().manual_seed(0))
    found, rounded = view.between(0, points), view.at(0, points)
    change = (points - points.round()) @ torch.tensor([1.0, 2, -3])
    torch.testing.assert_close(found, rounded + change[:, None, None, None, None], atol=1e-4, rtol=0)
    voxels = points.round()
    assert torch.equal(view.between(0, voxels), view.at(0, voxels))
    beyond = torch.tensor([[-2.0, 5.5, 30.0]])
    torch.testing.assert_close(view.between(0, beyond), view.between(0, torch.tensor([[0.0, 5.5, 19.0]])))


def test_views_copy_nothing_but_the_padding():
    volume = draw(1, 2, 20, 20, 20)
    (near,) = PatchView.of(volume).scales
    assert near.untyped_storage().nbytes() == 4 * 2 * 26**3
    assert near.numel() == 2 * 20**3 * 343


@pytest.mark.parametrize("channels", [1, 4])
def test_patch_encoder_is_two_convolutions(channels):
    torch.manual_seed(0)
    encoder = PatchEncoder(channels).double()
    patches = draw(5, channels, 7, 7, 7).double()
    x = patches
    for conv, unit in zip(encoder.convs, encoder.units):
        x = unit(conv(x))
    torch.testing.assert_close(encoder(patches), x.flatten(1))
    found = torch.autograd.grad(encoder(patches).square().sum(), list(encoder.parameters()))
    for mine, theirs in zip(found, torch.autograd.grad(x.square().sum(), list(encoder.parameters()))):
        torch.testing.assert_close(mine, theirs)


def test_pools_equal_those_of_pytorch():
    x = draw(2, 3, 8, 6, 4)
    torch.testing.assert_close(halved(x), F.avg_pool3d(x, 2))
    for grid in ((8, 8, 5), (4, 3, 2), (3, 2, 3), (1, 6, 9)):
        assert torch.equal(max_pooled(x, grid), F.adaptive_max_pool3d(x, grid))


def test_a_linear_layer_of_parts_is_that_of_all_side_by_side():
    layer = torch.nn.Linear(3 + 5 + 4, 6)
    positions, patches, latent = 300 * draw(2, 7, 3), draw(2, 7, 5), draw(2, 1, 4)
    together = layer(torch.cat([positions, patches, latent.expand(-1, 7, -1)], dim=-1))
    torch.testing.assert_close(joined(layer, [positions, patches, latent]), together, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_conditional_norm_is_a_batch_norm_of_one_channel(training):
    torch.manual_seed(0)
    norm = ConditionalNorm(6, 4)
    for layer in (norm.scale, norm.shift):
        torch.nn.init.normal_(layer.weight)
    theirs = torch.nn.BatchNorm1d(1, affine=False)
    norm.train(training), theirs.train(training)
    x, latent = (3 + 2 * draw(2, 5, 6)).requires_grad_(), draw(2, 4, seed=1)
    for _ in range(2):
        ours = norm(x, latent)
        normal = theirs(x.reshape(10, 1, 6)).view(2, 5, 6)
        expected = norm.scale(latent)[:, None] * normal + norm.shift(latent)[:, None]
    torch.testing.assert_close(ours, expected)
    push = draw(2, 5, 6, seed=2)
    wanted = [x, *norm.scale.parameters()]
    for mine, other in zip(*(torch.autograd.grad(y, wanted, push) for y in (ours, expected))):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    for mine, other in zip(norm.norm.buffers(), theirs.buffers()):
        torch.testing.assert_close(mine, other)


def test_gradcheck_of_the_conditional_norm():
    norm = ConditionalNorm(3, 2).double()
    torch.nn.init.normal_(norm.scale.weight)
    given = draw(2, 4, 3).double().requires_grad_(), draw(2, 2, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(norm, given)
    assert torch.autograd.gradgradcheck(norm, given)


def test_the_norm_is_found_by_what_shares_statistics(tmp_path):
    norm = ConditionalNorm(6, 4)
    alone = norm(draw(2, 5, 6), draw(2, 4, seed=1))
    share_statistics(norm)
    assert isinstance(norm.norm, HostSyncBatchNorm)
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        torch.testing.assert_close(norm(draw(2, 5, 6), draw(2, 4, seed=1)), alone)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("classes", [2, 3])
def test_answers_at_points(name, classes):
    net = randomised(network(f"config={name}", classes=classes))
    sizes = (33, 20, 9)
    answer = net(draw(2, 2, *sizes), places(11, sizes, batch=2))
    assert isinstance(answer, dict) == CONFIGURATIONS[name].aux
    outputs = list(answer.values()) if isinstance(answer, dict) else [answer]
    assert outputs[0].shape == (2, classes, 11)
    if len(outputs) == 2:
        assert list(answer) == ["logits", "aux"]
        assert outputs[1].shape == (2, classes, 2, 2, 2)
    sum(x.square().mean() for x in outputs).backward()
    for parameter in net.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


@pytest.mark.parametrize("text", ["", "config=oss_b,levels=5", "config=onet,fourier=4"])
def test_encoding_once_and_asking_in_pieces_is_the_same(text):
    net = randomised(network(text, channels=1)).eval()
    volume, between = draw(2, 1, 16, 17, 9), places(20, (16, 17, 9), batch=2)
    voxels = between.round()  # training asks at voxels alone: between them only `at` interpolates the patches
    whole = net(volume, voxels)
    whole = whole["logits"] if isinstance(whole, dict) else whole
    code = net.encode(volume)
    for points, expected in ((voxels, whole), (between, net.at(code, between))):
        pieces = torch.cat([net.at(code, part) for part in points.split(7, dim=1)], dim=2)
        torch.testing.assert_close(pieces, expected)


@pytest.mark.parametrize("planes", [34, 32 * 3 + 2])
def test_inference_in_slabs_is_the_same(planes):
    net = network().eval()
    for module in net.encoder.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.running_mean), torch.nn.init.uniform_(module.running_var, 0.5, 2)
    volume = draw(1, 2, 2 * planes, 32, 32)
    with torch.no_grad():
        slabs = net.encode(volume)
    for mine, whole in zip(slabs[:2], net.encode(volume)[:2]):
        torch.testing.assert_close(mine, whole)


def test_patches_are_kept_in_the_type_of_autocast():
    net = network()
    with torch.autocast("cpu", torch.bfloat16):
        assert net.encode(draw(1, 2, 8, 8, 8)).patches.scales[0].dtype == torch.bfloat16
    assert net.encode(draw(1, 2, 8, 8, 8)).patches.scales[0].dtype == torch.float32


def kept_bytes(net, *given):
    """Bytes that autograd keeps between forward and backward, but for the weights; nothing is allocated on meta."""
    weights = {weight.untyped_storage()._cdata for weight in net.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage._cdata] = (0 if storage._cdata in weights else storage.nbytes(), storage)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net(*given)
    return sum(count for count, _ in kept.values())


def test_a_step_on_a_case_of_brats_keeps_a_quarter_of_what_single_operations_keep(monkeypatch):
    with torch.device("meta"):
        net = build_network("OSSNet", 4, 2)
        given = torch.empty(1, 4, 256, 256, 160), torch.empty(1, 1 << 14, 3)
    assert kept_bytes(net, *given) < 1.5 * 2**30
    monkeypatch.setattr(pade, "pade", pade.plain)
    assert kept_bytes(net, *given) > 6 * 2**30


def test_traced_whole_by_the_compiler():
    net = randomised(network("config=oss_d"))
    given = draw(1, 2, 16, 16, 16), places(6, (16, 16, 16))
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    start = {name: buffer.clone() for name, buffer in net.named_buffers()}
    results = []
    for way in (net, compiled):
        net.load_state_dict(start, strict=False)
        answer = way(*given)
        sum(x.square().mean() for x in answer.values()).backward()
        results.append([answer["logits"], *(p.grad for p in net.parameters()), *(b.clone() for b in net.buffers())])
        net.zero_grad(set_to_none=True)
    for mine, expected in zip(*results):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)


def test_no_points_are_no_logits():
    net = network().eval()
    assert net.at(net.encode(draw(2, 2, 8, 8, 8)), torch.zeros(2, 0, 3)).shape == (2, 2, 0)


def test_two_classes_are_one_logit():
    net = network()
    assert net.decoder.out.out_features == net.encoder.aux.out_channels == 1
    answer = net(draw(1, 2, 8, 8, 8), places(5, (8, 8, 8)))
    assert not answer["logits"][:, 0].any() and not answer["aux"][:, 0].any()
    assert answer["logits"][:, 1].any()


def test_what_a_point_sees():
    """Voxels near it through its patch, all others through the latent alone; without either, nothing."""
    net = randomised(network("config=oss_a")).eval()
    volume, point = draw(1, 2, 40, 8, 8), torch.tensor([[[4.0, 4.0, 4.0]]])
    before = net(volume, point)
    near = volume.clone()
    near[0, 0, 6, 4, 4] += 3
    code = net.encode(volume)
    moved = net.encode(near)
    assert not torch.equal(net.at(code._replace(patches=moved.patches), point), before)
    far = volume.clone()
    far[0, 0, 36, 4, 4] += 30
    moved = net.encode(far)
    assert torch.equal(net.at(code._replace(patches=moved.patches), point), before)
    assert not torch.equal(net.at(code._replace(latents=moved.latents), point), before)


def test_items_of_a_batch_do_not_mix_but_in_the_norms():
    net = randomised(network()).eval()
    volume, points = draw(2, 2, 16, 16, 16), places(9, (16, 16, 16), batch=2)
    both = net(volume, points)["logits"]
    torch.testing.assert_close(net(volume[1:], points[1:])["logits"], both[1:])


def test_bfloat16_is_close_at_positions_beyond_its_whole_numbers():
    net = randomised(network("config=onet")).eval()
    code = net.encode(draw(1, 2, 16, 16, 16))
    points = 500 + places(50, (16, 16, 16))
    with torch.autocast("cpu", torch.bfloat16):
        rough = net.at(code, points)
    torch.testing.assert_close(rough.float(), net.at(code, points), rtol=0.1, atol=0.1)


def test_a_step_in_bfloat16():
    net = randomised(network("config=oss_d"))
    with torch.autocast("cpu", torch.bfloat16):
        answer = net(draw(1, 2, 16, 16, 16), places(30, (16, 16, 16)))
    sum(x.float().square().mean() for x in answer.values()).backward()
    assert answer["logits"].dtype == torch.bfloat16
    for parameter in net.parameters():
        assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all()


def test_learns_a_ball():
    torch.manual_seed(0)
    net = network("config=oss_a", channels=1)
    x = torch.stack(torch.meshgrid(*[torch.arange(16.0)] * 3, indexing="ij"), dim=-1)
    ball = ((x - 7).square().sum(-1) < 20).long()
    volume = ball[None, None] + 0.3 * draw(1, 1, 16, 16, 16)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for step in range(25):
        points = places(300, (16, 16, 16), seed=step).round()
        labels = ball[tuple(points[0].long().T)][None]
        loss = F.cross_entropy(net(volume, points), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("levels=3", "levels must be 4 or 5"),
        ("patches=9", "patches must be none, 7 or 7"),
        ("config=oss_e", "one of onet, oss_a"),
        ("encoder=deep", "plain or skip"),
        ("config=oss_a,aux=true", "aux needs encoder=skip"),
        ("fourier=3", "fourier must be even"),
    ],
)
def test_what_cannot_be_built_is_explained(text, message):
    with pytest.raises(ValueError, match=message):
        network(text)


def test_options_replace_those_of_the_configuration():
    net = network("config=oss_c,encoder=plain,patches=7+14")
    assert net.encoder.aux is None and net.patches == "7+14" and not net.encoder.sides
    assert network("encoder=skip,config=oss_a").encoder.aux is None


def test_wrong_shapes():
    net = network()
    with pytest.raises(ValueError, match=r"volumes \(B, 2, X, Y, Z\)"):
        net.encode(draw(1, 3, 8, 8, 8))
    with pytest.raises(ValueError, match=r"positions \(1, P, 3\)"):
        net(draw(1, 2, 8, 8, 8), torch.zeros(2, 5, 3))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("text", ["config=oss_a", "config=oss_d"])
def test_bytes_per_point_hold_on_the_device(text):
    net = build_network(f"OSSNet({text})", 4, 2).cuda().eval()
    with torch.inference_mode():
        code = net.encode(draw(1, 4, 64, 64, 64).cuda())
        points = places(1 << 15, (64, 64, 64)).cuda()
        net.at(code, points[:, :100])
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        net.at(code, points)
        assert torch.cuda.max_memory_allocated() - before < net.bytes_per_point * (1 << 15) * 1.1 + 2**26


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("text", ["config=oss_a", "config=oss_d"])
def test_a_deterministic_step_on_the_device_is_that_of_the_host(text, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    given = draw(2, 2, 40, 24, 20), places(50, (40, 24, 20), batch=2)
    results = []
    torch.use_deterministic_algorithms(True)
    try:
        for device in ("cpu", "cuda", "cuda"):
            net = randomised(network(text)).to(device)
            answer = net(*(tensor.to(device) for tensor in given))
            outputs = list(answer.values()) if isinstance(answer, dict) else [answer]
            sum(x.square().mean() for x in outputs).backward()
            results.append([x.detach().cpu() for x in (*outputs, *(p.grad for p in net.parameters()), *net.buffers())])
    finally:
        torch.use_deterministic_algorithms(False)
    for host, once, again in zip(*results, strict=True):
        assert torch.equal(once, again)
        assert (once - host).abs().max() <= 1e-2 * host.abs().max() + 1e-5


def test_pade_units_have_the_share_of_the_rate_that_is_asked_for():
    for words, share in (("", 1e-2 / 3e-4), (",pade_rate=10", 10)):
        net = build_network(f"OSSNet({TINY}{words})", 1, 2)
        units = [module for module in net.modules() if isinstance(module, pade.PadeUnit)]
        assert len(units) > 10 and all(unit.rate_share == share for unit in units)
        rates = {group["share"]: group["lr"] for group in grouped(net, 1e-3)}
        assert rates == pytest.approx({1: 1e-3, share: 1e-3 * share})
    with pytest.raises(ValueError, match="pade_rate must be above 0, got 0"):
        build_network("OSSNet(pade_rate=0)", 1, 2)
