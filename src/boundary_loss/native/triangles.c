/* The nearest of many triangles to each of many points, exactly: a tree of boxes, halved along the longest side.
 *
 * A triangle of two equal corners is a line segment. Points that follow each other should lie near each other: the
 * nearest triangle of one bounds the search of the next.
 */
#include <math.h>
#include <stdlib.h>

#include "parallel.h"

enum { IN_LEAF = 4, DEPTH = 64 };

typedef struct {
    double a[3], ab[3], ac[3];     /* a corner, and the sides from it */
    double ab_ab, ab_ac, ac_ac;
    int64_t number;                /* in the caller's order */
} Triangle;

typedef struct {
    double low[3], high[3];
    int64_t first, count;          /* of its triangles; count is 0 unless it is a leaf */
    int64_t second;                /* child; the first is the next node */
} Node;

typedef struct {
    const double *corners;         /* (M, 3, 3) */
    Triangle *triangles;
    Node *nodes;
    int64_t used;
} Tree;

typedef struct {
    double centre[3];
    int64_t number;
} Item;

/* ---- the tree -------------------------------------------------------------------------------------------------- */

BL_INLINE void swap(Item *items, int64_t i, int64_t j) {
    const Item kept = items[i];
    items[i] = items[j], items[j] = kept;
}

/* Puts the lower half of the items along the axis before the upper one (Hoare's selection). */
static void halve(Item *items, int64_t count, int64_t half, int axis) {
    int64_t from = 0, to = count - 1;
    while (from < to) {
        const double pivot = items[from + (to - from) / 2].centre[axis];
        int64_t i = from, j = to;
        while (i <= j) {
            while (items[i].centre[axis] < pivot) i++;
            while (items[j].centre[axis] > pivot) j--;
            if (i <= j) swap(items, i++, j--);
        }
        if (half <= j) to = j;
        else if (half >= i) from = i;
        else return;
    }
}

BL_INLINE double least(double a, double b) { return a < b ? a : b; }
BL_INLINE double most(double a, double b) { return a > b ? a : b; }

static void enclose(const Tree *tree, const Item *items, int64_t count, Node *node) {
    for (int axis = 0; axis < 3; axis++) {
        double low = INFINITY, high = -INFINITY;
        for (int64_t i = 0; i < count; i++) {
            const double *corners = tree->corners + 9 * items[i].number;
            for (int corner = 0; corner < 3; corner++) {
                low = least(low, corners[3 * corner + axis]);
                high = most(high, corners[3 * corner + axis]);
            }
        }
        node->low[axis] = low, node->high[axis] = high;
    }
}

static void prepare(const Tree *tree, const Item *items, Triangle *triangle) {
    const double *a = tree->corners + 9 * items->number, *b = a + 3, *c = a + 6;
    *triangle = (Triangle){.number = items->number};
    for (int axis = 0; axis < 3; axis++) {
        const double ab = b[axis] - a[axis], ac = c[axis] - a[axis];
        triangle->a[axis] = a[axis], triangle->ab[axis] = ab, triangle->ac[axis] = ac;
        triangle->ab_ab += ab * ab, triangle->ab_ac += ab * ac, triangle->ac_ac += ac * ac;
    }
}

static void grow(Tree *tree, Item *items, int64_t first, int64_t count) {
    Node *node = tree->nodes + tree->used++;
    enclose(tree, items, count, node);
    node->first = first, node->count = 0;
    if (count <= IN_LEAF) {
        node->count = count;
        for (int64_t i = 0; i < count; i++) prepare(tree, items + i, tree->triangles + first + i);
        return;
    }
    int axis = 0;
    for (int other = 1; other < 3; other++) {
        if (node->high[other] - node->low[other] > node->high[axis] - node->low[axis]) axis = other;
    }
    const int64_t half = count / 2;
    halve(items, count, half, axis);
    grow(tree, items, first, half);
    node->second = tree->used;
    grow(tree, items + half, first + half, count - half);
}

/* ---- the search ------------------------------------------------------------------------------------------------ */

BL_INLINE double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

BL_INLINE double clipped(double share, double whole) {
    return share <= 0 ? 0 : share >= whole ? 1 : share / whole;
}

/* Squared distance; which corner, side or the inside is nearest as in Ericson, Real-Time Collision Detection, 2005. */
BL_INLINE double squared_distance(const double *point, const Triangle *t) {
    const double ap[3] = {point[0] - t->a[0], point[1] - t->a[1], point[2] - t->a[2]};
    const double d1 = dot(t->ab, ap), d2 = dot(t->ac, ap);
    const double d3 = d1 - t->ab_ab, d4 = d2 - t->ab_ac, d5 = d1 - t->ab_ac, d6 = d2 - t->ac_ac;
    const double vc = d1 * d4 - d3 * d2, vb = d5 * d2 - d1 * d6, va = d3 * d6 - d5 * d4;
    double v, w; /* the nearest place is a + v ab + w ac */
    if (d1 <= 0 && d2 <= 0) {
        v = w = 0;
    } else if (vc <= 0 && d1 >= 0 && d3 <= 0) {
        v = clipped(d1, t->ab_ab), w = 0;
    } else if (vb <= 0 && d2 >= 0 && d6 <= 0) {
        v = 0, w = clipped(d2, t->ac_ac);
    } else if (d3 >= 0 && d4 <= d3) {
        v = 1, w = 0;
    } else if (d6 >= 0 && d5 <= d6) {
        v = 0, w = 1;
    } else if (va <= 0) {
        w = clipped(d4 - d3, (d4 - d3) + (d5 - d6)), v = 1 - w;
    } else {
        const double sum = va + vb + vc;
        v = vb / sum, w = vc / sum;
    }
    double squared = 0;
    for (int axis = 0; axis < 3; axis++) {
        const double apart = ap[axis] - v * t->ab[axis] - w * t->ac[axis];
        squared += apart * apart;
    }
    return squared;
}

BL_INLINE double squared_to_box(const double *point, const Node *node) {
    double squared = 0;
    for (int axis = 0; axis < 3; axis++) {
        const double apart = most(0, most(node->low[axis] - point[axis], point[axis] - node->high[axis]));
        squared += apart * apart;
    }
    return squared;
}

/* The place in tree->triangles of the nearest one; `best` is one to begin with. */
static int64_t search(const Tree *tree, const double *point, int64_t best, double *squared) {
    struct { int64_t node; double squared; } stack[DEPTH];
    int height = 0;
    double closest = squared_distance(point, tree->triangles + best);
    stack[height].node = 0, stack[height++].squared = squared_to_box(point, tree->nodes);
    while (height) {
        const int64_t place = stack[--height].node;
        if (stack[height].squared >= closest) continue;
        const Node *node = tree->nodes + place;
        for (int64_t i = node->first; i < node->first + node->count; i++) {
            const double found = squared_distance(point, tree->triangles + i);
            if (found < closest) closest = found, best = i;
        }
        if (node->count) continue;
        const int64_t children[2] = {place + 1, node->second};
        const double apart[2] = {squared_to_box(point, tree->nodes + children[0]),
                                 squared_to_box(point, tree->nodes + children[1])};
        const int near = apart[1] < apart[0];
        for (int turn = 0; turn < 2; turn++) { /* the nearer child on top */
            const int child = turn ? near : !near;
            if (apart[child] < closest) {
                stack[height].node = children[child], stack[height++].squared = apart[child];
            }
        }
    }
    *squared = closest;
    return best;
}

/* For each point (N, 3) the distance to the nearest triangle (M, 3 corners, 3), M > 0, and its number. Returns 0, or
 * 1 without memory. */
BL_EXPORT int bl_nearest_triangles(const double *points, int64_t N, const double *corners, int64_t M, double *distances,
                                   int64_t *numbers) {
    Tree tree = {corners, malloc(M * sizeof(Triangle)), malloc(2 * M * sizeof(Node)), 0};
    Item *items = malloc(M * sizeof(Item));
    const int failed = !tree.triangles || !tree.nodes || !items;
    if (!failed) {
        for (int64_t i = 0; i < M; i++) {
            const double *a = corners + 9 * i;
            items[i] = (Item){{a[0] + a[3] + a[6], a[1] + a[4] + a[7], a[2] + a[5] + a[8]}, i};
        }
        grow(&tree, items, 0, M);
        int64_t nearest = 0;
        for (int64_t n = 0; n < N; n++) {
            double squared;
            nearest = search(&tree, points + 3 * n, nearest, &squared);
            distances[n] = sqrt(squared), numbers[n] = tree.triangles[nearest].number;
        }
    }
    free(items), free(tree.nodes), free(tree.triangles);
    return failed;
}
