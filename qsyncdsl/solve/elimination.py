"""The inner loops of `solve.static_lu`: one elimination for many matrices of one pattern.

Without pivoting, row by row; `LANES` matrices side by side. The source is read and compiled there.
"""

# ruff: noqa: F821, C901
# mypy: ignore-errors

import numpy as np


def fill(indices, starts):
    """Columns behind the diagonal of each eliminated row, for a symmetric pattern.

    Row k has its own columns and those of its children: of the rows whose first column behind the
    diagonal is k.
    """
    n = len(starts) - 1
    room = 4 * len(indices) + n
    found = np.empty(room, dtype=np.int64)
    ends = np.zeros(n + 1, dtype=np.int64)
    child = np.full(n, -1)
    sibling = np.full(n, -1)
    mark = np.full(n, -1)
    count = 0
    for k in range(n):
        if count + n > room:
            room = 2 * room + n
            more = np.empty(room, dtype=np.int64)
            more[:count] = found[:count]
            found = more
        first = count
        for p in range(starts[k], starts[k + 1]):
            j = indices[p]
            if j > k and mark[j] != k:
                mark[j] = k
                found[count] = j
                count += 1
        c = child[k]
        while c >= 0:
            for p in range(ends[c] + 1, ends[c + 1]):
                j = found[p]
                if mark[j] != k:
                    mark[j] = k
                    found[count] = j
                    count += 1
            c = sibling[c]
        ends[k + 1] = count
        if count > first:
            found[first:count] = np.sort(found[first:count])
            parent = found[first]
            sibling[k] = child[parent]
            child[parent] = k
    return ends, found[:count].copy()


def runs(upper, upper_start):
    """The rows that reduce each row, in runs of 1, 2 or 4 rows with one pattern.

    Returns:
        First row of each run, where the runs of each row begin, and their lengths.
    """
    n = len(upper_start) - 1
    length = np.ones(n, dtype=np.int64)
    for k in range(n - 2, -1, -1):
        p, q, end = upper_start[k], upper_start[k + 1], upper_start[k + 2]
        alike = q - p == end - q + 1 and upper[p] == k + 1
        if alike:
            for m in range(end - q):
                if upper[p + 1 + m] != upper[q + m]:
                    alike = False
                    break
        if alike:
            length[k] = length[k + 1] + 1
    total = np.zeros(n + 1, dtype=np.int64)
    for p in range(len(upper)):
        total[upper[p] + 1] += 1
    ends = np.cumsum(total)
    place = ends.copy()
    reduced_by = np.empty(len(upper), dtype=np.int64)
    for k in range(n):
        for p in range(upper_start[k], upper_start[k + 1]):
            reduced_by[place[upper[p]]] = k
            place[upper[p]] += 1
    lower = np.empty(len(upper), dtype=np.int64)
    width = np.empty(len(upper), dtype=np.int64)
    start = np.zeros(n + 1, dtype=np.int64)
    count = 0
    for i in range(n):
        p = ends[i]
        while p < ends[i + 1]:
            k = reduced_by[p]
            run = min(length[k], ends[i + 1] - p, i - k, 4)
            run = 2 if run == 3 else run
            lower[count] = k
            width[count] = run
            count += 1
            p += run
        start[i + 1] = count
    return lower[:count].copy(), start, width[:count].copy()


def eliminate(
    entries,
    slot,
    column,
    row_start,
    right_slot,
    lower,
    lower_start,
    width,
    upper,
    upper_start,
    factors,
    inverse,
    rows,
    x,
):
    """Solve A x = -right for `LANES` matrices at once; x has shape (n, LANES).

    Rows of A: `entries[slot[p]]` at `column[p]`; of the right side `entries[right_slot]`, -1 for none.
    Row i is reduced by the rows `lower`, in runs of `width` rows with one pattern. `upper` is the pattern
    of the reduced rows behind the diagonal.
    """
    n = len(row_start) - 1
    l0 = np.empty(LANES)
    l1 = np.empty(LANES)
    l2 = np.empty(LANES)
    l3 = np.empty(LANES)
    for i in range(n):
        for p in range(lower_start[i], lower_start[i + 1]):
            for w in range(width[p]):
                for b in range(LANES):
                    rows[lower[p] + w, b] = 0.0
        for q in range(upper_start[i], upper_start[i + 1]):
            for b in range(LANES):
                rows[upper[q], b] = 0.0
        for b in range(LANES):
            rows[i, b] = 0.0
        for p in range(row_start[i], row_start[i + 1]):
            j, s = column[p], slot[p]
            for b in range(LANES):
                rows[j, b] = entries[s, b]
        s = right_slot[i]
        if s >= 0:
            for b in range(LANES):
                x[i, b] = -entries[s, b]
        else:
            for b in range(LANES):
                x[i, b] = 0.0
        for p in range(lower_start[i], lower_start[i + 1]):
            k, run = lower[p], width[p]
            q0 = upper_start[k]
            count = upper_start[k + 1] - q0
            if run == 1:
                for b in range(LANES):
                    l0[b] = rows[k, b] * inverse[k, b]
                    x[i, b] -= l0[b] * x[k, b]
                for q in range(count):
                    j = upper[q0 + q]
                    for b in range(LANES):
                        rows[j, b] -= l0[b] * factors[q0 + q, b]
            elif run == 2:
                q1 = upper_start[k + 1]
                for b in range(LANES):
                    l0[b] = rows[k, b] * inverse[k, b]
                    l1[b] = (rows[k + 1, b] - l0[b] * factors[q0, b]) * inverse[
                        k + 1, b
                    ]
                    x[i, b] -= l0[b] * x[k, b] + l1[b] * x[k + 1, b]
                for q in range(count - 1):
                    j = upper[q1 + q]
                    for b in range(LANES):
                        rows[j, b] -= (
                            l0[b] * factors[q0 + 1 + q, b] + l1[b] * factors[q1 + q, b]
                        )
            else:
                q1, q2, q3 = upper_start[k + 1], upper_start[k + 2], upper_start[k + 3]
                for b in range(LANES):
                    l0[b] = rows[k, b] * inverse[k, b]
                    l1[b] = (rows[k + 1, b] - l0[b] * factors[q0, b]) * inverse[
                        k + 1, b
                    ]
                    l2[b] = (
                        rows[k + 2, b]
                        - l0[b] * factors[q0 + 1, b]
                        - l1[b] * factors[q1, b]
                    ) * inverse[k + 2, b]
                    l3[b] = (
                        rows[k + 3, b]
                        - l0[b] * factors[q0 + 2, b]
                        - l1[b] * factors[q1 + 1, b]
                        - l2[b] * factors[q2, b]
                    ) * inverse[k + 3, b]
                    x[i, b] -= (
                        l0[b] * x[k, b]
                        + l1[b] * x[k + 1, b]
                        + l2[b] * x[k + 2, b]
                        + l3[b] * x[k + 3, b]
                    )
                for q in range(count - 3):
                    j = upper[q3 + q]
                    for b in range(LANES):
                        rows[j, b] -= (
                            l0[b] * factors[q0 + 3 + q, b]
                            + l1[b] * factors[q1 + 2 + q, b]
                            + l2[b] * factors[q2 + 1 + q, b]
                            + l3[b] * factors[q3 + q, b]
                        )
        for b in range(LANES):
            inverse[i, b] = 1.0 / rows[i, b]
        for q in range(upper_start[i], upper_start[i + 1]):
            j = upper[q]
            for b in range(LANES):
                factors[q, b] = rows[j, b]
    for back in range(n):
        i = n - 1 - back
        for q in range(upper_start[i], upper_start[i + 1]):
            j = upper[q]
            for b in range(LANES):
                x[i, b] -= factors[q, b] * x[j, b]
        for b in range(LANES):
            x[i, b] *= inverse[i, b]


def residual(entries, indices, starts, x, left):
    """A x for the same matrices with all unknowns, entries by columns."""
    for j in range(len(starts) - 1):
        for b in range(LANES):
            left[j, b] = 0.0
    for j in range(len(starts) - 1):
        for p in range(starts[j], starts[j + 1]):
            i = indices[p]
            for b in range(LANES):
                left[i, b] += entries[p, b] * x[j, b]
