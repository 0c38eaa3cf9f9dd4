"""Copies tensors to a GPU in the background, for which they must lie in pinned memory."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

_AHEAD = 2  # batches


def onto_device(small: Tensor, device: torch.device) -> Tensor:
    """Copy a few numbers to the device without waiting."""
    return small.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else small.to(device)


def prefetched(
    gather: Callable[[Tensor], list[Tensor]], batches: Sequence[Tensor], device: torch.device
) -> Iterator[list[Tensor]]:
    """Yield what ``gather`` returns for each batch, copied to the GPU ``device``.

    A thread gathers and a stream of its own copies, up to two batches ahead.
    """
    stream = torch.cuda.Stream(device)

    def send(rows: Tensor) -> tuple[list[Tensor], torch.cuda.Event]:
        with torch.cuda.stream(stream):
            sent = [tensor.pin_memory().to(device, non_blocking=True) for tensor in gather(rows)]
            return sent, stream.record_event()

    ahead: deque[Future[tuple[list[Tensor], torch.cuda.Event]]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for i in range(len(batches) + _AHEAD):
            if i < len(batches):
                ahead.append(pool.submit(send, batches[i]))
            if i >= _AHEAD:
                sent, arrived = ahead.popleft().result()
                user = torch.cuda.current_stream(device)
                user.wait_event(arrived)
                for tensor in sent:
                    tensor.record_stream(user)  # its memory is not reused before the consumer's stream is done with it
                yield sent
