"""Changed masks and images, for the question: what does a loss, or a network, make of it?"""

import numpy as np
from scipy import ndimage

from m2s.errors import InputError


def change_mask(mask: np.ndarray, grow: int = 0, right: int = 0, down: int = 0, blur: float = 0) -> np.ndarray:
    """A mask (H, W), any type, > 0 inside → float32 (H, W) in [0, 1]: grown, then shifted, then blurred.

    ``grow`` in pixels, negative to erode; ``right`` and ``down`` in pixels, with background coming in; ``blur`` is the
    standard deviation of a Gaussian in pixels.
    """
    inside = np.asarray(mask) > 0
    if grow > 0:
        inside = ndimage.distance_transform_edt(~inside) <= grow if inside.any() else inside
    elif grow < 0:
        # What lies beyond the image's edge counts as inside, so that an object that is cut off is not eroded there.
        inside = ndimage.distance_transform_edt(inside) > -grow if not inside.all() else inside
    changed = ndimage.shift(inside.astype(np.float32), (down, right), order=0)
    return np.clip(ndimage.gaussian_filter(changed, blur), 0, 1) if blur else changed


def change_image(image: np.ndarray, noise: float = 0, blur: float = 0, brightness: float = 0) -> np.ndarray:
    """An image uint8 (H, W, 3) → the same, blurred, then brighter, then noisy.

    ``blur`` is the standard deviation of a Gaussian in pixels; ``brightness`` is added, in [−1, 1] of the full range;
    ``noise`` is the standard deviation of Gaussian noise in fractions of the full range, the same at each call.
    """
    changed = image.astype(np.float32) / 255
    if blur:
        changed = ndimage.gaussian_filter(changed, (blur, blur, 0))
    if noise:
        changed = changed + np.random.default_rng(0).normal(0, noise, image.shape).astype(np.float32)
    return (np.clip(changed + brightness, 0, 1) * 255).round().astype(np.uint8)


def move_lesion(image: np.ndarray, mask: np.ndarray, right: int, down: int) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 (H, W, 3) and mask (H, W) with the lesion moved: a crude montage, no real image.

    The lesion with a rim is pasted at its new place with a soft border; where it was, the tissue is continued inwards
    from around it (values of the nearest tissue pixel, blurred). What leaves the image is cut off.
    """
    inside = np.asarray(mask) > 0
    rim = max(2, round(0.02 * max(inside.shape)))
    area = ndimage.binary_dilation(inside, iterations=rim)
    if not inside.any() or area.all():
        raise InputError("the lesion cannot be moved: its mask is empty, or leaves no tissue around it")
    picture = image.astype(np.float32)
    rows, columns = ndimage.distance_transform_edt(area, return_distances=False, return_indices=True)
    filled = ndimage.gaussian_filter(picture[rows, columns], (rim, rim, 0))
    soft = ndimage.gaussian_filter(area.astype(np.float32), rim / 2)[..., None]
    tissue = picture + (filled - picture) * np.where(area[..., None], 1, soft)
    shift = (down, right, 0)
    patch = ndimage.shift(picture, shift, order=1)
    alpha = ndimage.shift(soft, shift, order=1) * ndimage.shift(np.ones_like(soft), shift, order=0)
    moved = np.clip(tissue + (patch - tissue) * np.clip(alpha, 0, 1), 0, 255).round().astype(np.uint8)
    return moved, ndimage.shift(inside.astype(np.uint8), shift[:2], order=0).astype(bool)
