"""The few calls of MoviePy and OpenCV that Gymnasium's and SB3's wrappers make, without a codec.

Both packages are large, and their image processing is not tested here.
"""

import sys
from types import ModuleType
from typing import NamedTuple

import numpy as np
from PIL import Image


class Clip(NamedTuple):
    """A video that MoviePy would have written."""

    path: str
    fps: int
    frames: list[np.ndarray]


def keep_clips(monkeypatch):
    """Return a list that collects every ``Clip`` that wrappers write with MoviePy."""
    clips = []

    class ImageSequenceClip:
        def __init__(self, sequence, fps):
            self.frames, self.fps = list(sequence), fps

        def write_videofile(self, filename, logger="bar"):
            clips.append(Clip(str(filename), self.fps, self.frames))

    name = "moviepy"
    for part in ("", ".video", ".io", ".ImageSequenceClip"):
        name += part
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[name].ImageSequenceClip = ImageSequenceClip
    return clips


def scale_with_pillow(monkeypatch):
    """Make wrappers scale images with Pillow instead of OpenCV."""
    module = ModuleType("cv2")
    module.INTER_AREA = Image.Resampling.BOX
    module.resize = lambda picture, size, interpolation=Image.Resampling.BILINEAR: np.asarray(
        Image.fromarray(picture).resize(size, interpolation)
    )
    monkeypatch.setitem(sys.modules, "cv2", module)
