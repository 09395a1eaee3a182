"""How far two borders lie apart: ASD and HD95 of areas (M2SNet revised, Table 8), MED of layers (Table 5)."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import KDTree

from m2s.metrics.pairs import check_pair


def boundary(
    prediction: np.ndarray, mask: np.ndarray, spacing: float | Sequence[float] | None = None
) -> dict[str, float]:
    """ASD and HD95 of one pair as :func:`m2s.metrics.pairs.check_pair` takes it, at p > 0.5; less is better.

    The border of an area is its pixels with a neighbour (left, right, above, below) outside of it or of the image.
    With D the distances from each border pixel of the prediction to the nearest one of the mask, and D' the other way:

    - **ASD**, average symmetric surface distance: the mean of D and D' together;
    - **HD95**: the larger of the 95 % quantiles of D and D'. (Some programs take one quantile of both together.)

    Equal to MONAI's ``compute_average_surface_distance`` (symmetric) and ``compute_hausdorff_distance`` (percentile
    95), but faster. Where the mask or the prediction is empty there is no border, hence no distance: both
    are NaN. A mean that leaves them out flatters a network that finds nothing; look at Dice and at their number.

    ``spacing`` is the size of a pixel, one number or (height, width), for instance in mm. Without it the result is in
    pixels of the mask, so the same error counts more in a larger picture.
    """
    p, g = check_pair(prediction, mask)
    there, back = (_border(area) * (1 if spacing is None else spacing) for area in (p > 0.5, g))
    if not len(there) or not len(back):
        return {"ASD": float("nan"), "HD95": float("nan")}
    distances = KDTree(back).query(there)[0], KDTree(there).query(back)[0]
    largest = max(np.quantile(one_way, 0.95) for one_way in distances)
    return {"ASD": float(np.concatenate(distances).mean()), "HD95": float(largest)}


def edge_distance(prediction: np.ndarray, mask: np.ndarray) -> float:
    """MED, the mean Euclidean distance of the edges of one layer, bool (H, W) each, in pixels; less is better.

    A layer has an upper and a lower edge in each column: its first and its last row there. MED is the mean, over the
    columns and both edges, of the distance between predicted and true edge in the same column. A layer that is moved by
    k rows has MED k. **This is our reading**: the papers say that MED evaluates the edges and print no formula, and the
    challenge's script was not available.

    A column is left out unless both have the layer in it (Dice counts what is missing there); NaN where there is no
    such column. A stray spot above or below a layer is taken for its edge.
    """
    p, g = np.asarray(prediction, bool), np.asarray(mask, bool)
    both = p.any(0) & g.any(0)
    if not both.any():
        return float("nan")
    upper, lower = (abs(a.argmax(0) - b.argmax(0))[both] for a, b in ((p, g), (p[::-1], g[::-1])))
    return float(np.concatenate([upper, lower]).mean())


def _border(area: np.ndarray) -> np.ndarray:
    """The border pixels of an area: (n, 2), row and column."""
    box = find_objects(area.astype(np.int8))
    if not box:
        return np.empty((0, 2))
    inside = area[box[0]]  # cropped: what lies outside of the box changes nothing
    return np.argwhere(inside & ~binary_erosion(inside)) + [s.start for s in box[0]]
