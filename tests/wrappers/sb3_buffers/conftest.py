import pytest
import torch


@pytest.fixture(autouse=True)
def one_torch_thread():
    """Tiny networks only lose by threads, and most of all where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
