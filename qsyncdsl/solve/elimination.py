"""The inner loops of `solve.static_lu`: one elimination for many matrices of one pattern.

Without pivoting, row by row; `LANES` matrices side by side. The source is read and compiled there, with the
names of `solve.vectors` for numbers side by side.
"""

# ruff: noqa: F821
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
    multipliers,
    inverse,
    rows,
    x,
):
    """Solve A x = -right for `LANES` matrices at once; x has shape (n, LANES).

    Rows of A: `entries[slot[p]]` at `column[p]`; of the right side `entries[right_slot]`, -1 for none.
    Row i is reduced by the rows `lower`, in runs of `width` rows with one pattern. `upper` is the pattern
    of the reduced rows behind the diagonal. What row i takes of each of them goes into `multipliers` where
    these have more than one row.
    """
    n = len(row_start) - 1
    place = 0
    for i in range(n):
        for p in range(lower_start[i], lower_start[i + 1]):
            clear(rows, lower[p], width[p])
        scatter(entries, slot, column, row_start, upper, upper_start, rows, i)
        y = zeros()
        if right_slot[i] >= 0:
            y = negative(load(entries, right_slot[i]))
        for p in range(lower_start[i], lower_start[i + 1]):
            k, run = lower[p], width[p]
            q0 = upper_start[k]
            count = upper_start[k + 1] - q0
            l0 = product(load(rows, k), load(inverse, k))
            place = noted(multipliers, place, l0)
            y = reduced(y, l0, load(x, k))
            if run == 1:
                for q in range(count):
                    j = upper[q0 + q]
                    store(rows, j, reduced(load(rows, j), l0, load(factors, q0 + q)))
                continue
            q1 = upper_start[k + 1]
            r = reduced(load(rows, k + 1), l0, load(factors, q0))
            l1 = product(r, load(inverse, k + 1))
            place = noted(multipliers, place, l1)
            y = reduced(y, l1, load(x, k + 1))
            if run == 2:
                for q in range(count - 1):
                    j = upper[q1 + q]
                    r = reduced(load(rows, j), l0, load(factors, q0 + 1 + q))
                    store(rows, j, reduced(r, l1, load(factors, q1 + q)))
                continue
            q2, q3 = upper_start[k + 2], upper_start[k + 3]
            r = reduced(load(rows, k + 2), l0, load(factors, q0 + 1))
            r = reduced(r, l1, load(factors, q1))
            l2 = product(r, load(inverse, k + 2))
            place = noted(multipliers, place, l2)
            y = reduced(y, l2, load(x, k + 2))
            r = reduced(load(rows, k + 3), l0, load(factors, q0 + 2))
            r = reduced(r, l1, load(factors, q1 + 1))
            r = reduced(r, l2, load(factors, q2))
            l3 = product(r, load(inverse, k + 3))
            place = noted(multipliers, place, l3)
            y = reduced(y, l3, load(x, k + 3))
            for q in range(count - 3):
                j = upper[q3 + q]
                r = reduced(load(rows, j), l0, load(factors, q0 + 3 + q))
                r = reduced(r, l1, load(factors, q1 + 2 + q))
                r = reduced(r, l2, load(factors, q2 + 1 + q))
                store(rows, j, reduced(r, l3, load(factors, q3 + q)))
        store(x, i, y)
        keep(upper, upper_start, factors, inverse, rows, i)
    back(upper, upper_start, factors, inverse, x)


def clear(rows, first, count):
    """Zeros in a run of columns."""
    for w in range(count):
        store(rows, first + w, zeros())


def scatter(entries, slot, column, row_start, upper, upper_start, rows, i):
    """Row i of A, with zeros where it will be filled from the diagonal on."""
    for q in range(upper_start[i], upper_start[i + 1]):
        store(rows, upper[q], zeros())
    store(rows, i, zeros())
    for p in range(row_start[i], row_start[i + 1]):
        store(rows, column[p], load(entries, slot[p]))


def noted(multipliers, place, multiplier):
    """Append a multiplier where there is room for all of them; the next place."""
    store(multipliers, place, multiplier)
    return place + min(len(multipliers) - 1, 1)


def keep(upper, upper_start, factors, inverse, rows, i):
    """A reduced row, its diagonal as a reciprocal."""
    store(inverse, i, reciprocal(load(rows, i)))
    for q in range(upper_start[i], upper_start[i + 1]):
        store(factors, q, load(rows, upper[q]))


def back(upper, upper_start, factors, inverse, x):
    """Solve with the reduced rows, the last one first."""
    n = len(upper_start) - 1
    for last in range(n):
        i = n - 1 - last
        y = load(x, i)
        for q in range(upper_start[i], upper_start[i + 1]):
            y = reduced(y, load(factors, q), load(x, upper[q]))
        store(x, i, product(y, load(inverse, i)))


def substitute(
    lower,
    lower_start,
    width,
    upper,
    upper_start,
    factors,
    multipliers,
    inverse,
    x,
):
    """Put the solution of A x = right in place of the right side, with what `eliminate` left."""
    place = 0
    for i in range(len(upper_start) - 1):
        y = load(x, i)
        for p in range(lower_start[i], lower_start[i + 1]):
            for w in range(width[p]):
                y = reduced(y, load(multipliers, place), load(x, lower[p] + w))
                place += 1
        store(x, i, y)
    back(upper, upper_start, factors, inverse, x)


def residual(entries, indices, starts, x, left):
    """A x for the same matrices with all unknowns, entries by columns."""
    for j in range(len(starts) - 1):
        store(left, j, zeros())
    for j in range(len(starts) - 1):
        y = load(x, j)
        for p in range(starts[j], starts[j + 1]):
            i = indices[p]
            store(left, i, added(load(left, i), load(entries, p), y))


def maxima(numbers, largest, row):
    """The largest modulus of each lane, into one row of `largest`; NaN is passed over."""
    found = zeros()
    for k in range(len(numbers)):
        found = larger(load(numbers, k), found)
    store(largest, row, found)
