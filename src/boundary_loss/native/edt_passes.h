/* The passes of edt.c over one map, in REAL; included once for float and once for double. */

/* Columns that one job sweeps: their counts stay in the first cache. */
#ifndef COLUMNS
#define COLUMNS 1024
/* Columns gathered into lines at a time: whole cache lines are read. */
#define GATHERED 16
/* Lines of one job. */
#define LINES 64
#endif

typedef struct {
    const Maps *maps;
    int64_t map;
    REAL *squared; /* (X, Y, Z) signed squares, in place of one another after each pass */
    double step[3];
    double scale; /* from steps to mm, at the end */
    double limit; /* in the unit of the steps */
    double half;  /* what a face is nearer than a centre, in steps */
    double *part; /* 1 / n */
    char *scratch;
    size_t scratch_bytes; /* of one worker */
    int has_true, has_false;
} NAME(Task);

/* ---- first pass: counts of steps along a column, many columns side by side ------------------------------------ */

BL_WIDE static void NAME(sweep)(const Maps *maps, int64_t map, REAL *squared, int64_t size, int64_t stride, int64_t first,
                                int64_t count, double step, double half, double limit, int *has_true, int *has_false) {
    uint8_t kind[COLUMNS];
    REAL after[COLUMNS];
    const REAL far = (REAL)INFINITY;
    unsigned any = 0, all = 1;
    for (int64_t i = 0; i < size; i++) { /* steps since the last voxel of the other kind */
        REAL *row = squared + i * stride + first;
        const REAL *before = row - stride;
        kinds(maps, map, i * stride + first, count, kind);
        unsigned ones = 0;
        for (int64_t c = 0; c < count; c++) ones += kind[c];
        any |= ones != 0;
        all &= ones == count;
        if (i == 0) {
            for (int64_t c = 0; c < count; c++) row[c] = kind[c] ? (maps->is_signed ? -far : 0) : far;
        } else if (maps->is_signed) {
            for (int64_t c = 0; c < count; c++) {
                const REAL steps = (before[c] < 0) == kind[c] ? (REAL)fabs(before[c]) + 1 : 1;
                row[c] = kind[c] ? -steps : steps;
            }
        } else {
            for (int64_t c = 0; c < count; c++) row[c] = kind[c] ? 0 : before[c] + 1;
        }
    }
    const REAL height = (REAL)step, nearer = (REAL)half, most = (REAL)(limit * limit);
    for (int64_t i = size - 1; i >= 0; i--) { /* backward: steps to the next such voxel; the smaller count is squared */
        REAL *row = squared + i * stride + first;
        for (int64_t c = 0; c < count; c++) {
            const REAL here = row[c];
            REAL steps = (REAL)fabs(here);
            if (i < size - 1) {
                const REAL next = maps->is_signed && (after[c] < 0) != (here < 0) ? 1 : (REAL)fabs(after[c]) + 1;
                steps = next < steps ? next : steps;
            }
            after[c] = here < 0 ? -steps : steps;
            REAL rise = steps > nearer ? (steps - nearer) * height : 0;
            rise *= rise;
            rise = rise > most ? far : rise;
            row[c] = here < 0 ? -rise : rise;
        }
    }
    if (any) *has_true = 1;
    if (!all) *has_false = 1;
}

/* ---- further passes: the lower envelope of the parabolas on each run of a line ------------------------------- */

typedef struct {
    double *height;     /* of the parabolas of the envelope, */
    int32_t *place;     /* where each has its vertex, */
    int32_t *start;     /* and the first voxel at which it is the lowest */
    const double *part; /* 1 / n */
    double step, half, curve;
} NAME(Line);

BL_INLINE double NAME(rise)(const NAME(Line) * line, double height, int64_t place, int64_t x) {
    double steps = fabs((double)(x - place));
    steps = steps > line->half ? (steps - line->half) * line->step : 0;
    return height + steps * steps;
}

/* Add a parabola, to the right of all others, to the envelope over [a, b); `top` is the last of it. */
BL_INLINE int64_t NAME(add)(const NAME(Line) * line, int64_t top, int64_t a, int64_t b, int64_t place, double height) {
    int64_t from = a;
    while (top >= 0) {
        const int64_t begin = line->start[top], other = line->place[top];
        if (line->half == 0) {
            /* where the two cross; each is the lower on its own side */
            const double cross = (height - line->height[top]) * line->curve * line->part[place - other] +
                                 0.5 * (double)(place + other);
            if (cross < (double)begin) {
                top--;
                continue;
            }
            if (cross >= (double)(b - 1)) return top;
            from = (int64_t)cross + 1;
        } else { /* the same for parabolas with a flat foot: their difference falls too, but has no short formula */
            const double theirs = line->height[top];
            if (NAME(rise)(line, height, place, begin) < NAME(rise)(line, theirs, other, begin)) {
                top--;
                continue;
            }
            int64_t low = begin, high = b; /* not yet lower at `low`; lower at `high`, were it in the run */
            while (high - low > 1) {
                const int64_t middle = (low + high) / 2;
                if (NAME(rise)(line, height, place, middle) < NAME(rise)(line, theirs, other, middle)) high = middle;
                else low = middle;
            }
            if (high >= b) return top;
            from = high;
        }
        break;
    }
    top++;
    line->start[top] = (int32_t)(top == 0 ? a : from);
    line->place[top] = (int32_t)place;
    line->height[top] = height;
    return top;
}

/* Squares along one line of `size` voxels, from signed squares within the slices across it to signed squares. */
BL_INLINE void NAME(envelope)(const NAME(Line) * line, const REAL *from, REAL *to, int64_t size) {
    const REAL step = (REAL)line->step, half = (REAL)line->half, far = (REAL)INFINITY;
    for (int64_t a = 0, b; a < size; a = b) {
        const REAL first = from[a];
        b = a + 1;
        if (first == 0) {
            to[a] = 0;
            continue;
        }
        if (first < 0) {
            while (b < size && from[b] < 0) b++;
        } else {
            while (b < size && from[b] > 0) b++;
        }
        const REAL side = first < 0 ? -1 : 1;
        int64_t top = -1;
        if (a > 0) top = NAME(add)(line, top, a, b, a - 1, 0);
        for (int64_t x = a; x < b; x++) {
            const double height = fabs((double)from[x]);
            if (height < INFINITY) top = NAME(add)(line, top, a, b, x, height);
        }
        if (b < size) top = NAME(add)(line, top, a, b, b, 0);
        if (top < 0) {
            for (int64_t x = a; x < b; x++) to[x] = side * far;
            continue;
        }
        for (int64_t k = 0; k <= top; k++) {
            const int64_t end = k < top ? line->start[k + 1] : b;
            const int32_t place = line->place[k];
            const REAL height = (REAL)line->height[k];
            for (int32_t x = line->start[k]; x < end; x++) {
                REAL steps = (REAL)abs(x - place);
                steps = steps > half ? (steps - half) * step : 0;
                to[x] = side * (height + steps * steps);
            }
        }
    }
}

BL_INLINE NAME(Line) NAME(line_of)(const NAME(Task) * task, int axis, char *scratch) {
    const int64_t size = task->maps->shape[axis] + 2;
    NAME(Line) line = {.part = task->part, .step = task->step[axis], .half = task->half};
    line.curve = 0.5 / (line.step * line.step);
    line.height = (double *)scratch;
    line.place = (int32_t *)(line.height + size);
    line.start = line.place + size;
    return line;
}

/* Along the middle axis: a few columns at a time are gathered into lines. */
BL_WIDE static void NAME(middle)(const NAME(Task) * task, int64_t job, char *scratch) {
    const int64_t size = task->maps->shape[1], stride = task->maps->shape[2];
    const int64_t tiles = (stride + GATHERED - 1) / GATHERED;
    const int64_t first = job % tiles * GATHERED;
    const int64_t count = stride - first < GATHERED ? stride - first : GATHERED;
    REAL *plane = task->squared + job / tiles * size * stride + first;
    const NAME(Line) line = NAME(line_of)(task, 1, scratch);
    REAL *lines = (REAL *)(scratch + task->scratch_bytes) - 2 * GATHERED * size, *found = lines + GATHERED * size;
    for (int64_t i = 0; i < size; i++) {
        for (int64_t c = 0; c < count; c++) lines[c * size + i] = plane[i * stride + c];
    }
    for (int64_t c = 0; c < count; c++) NAME(envelope)(&line, lines + c * size, found + c * size, size);
    for (int64_t i = 0; i < size; i++) {
        for (int64_t c = 0; c < count; c++) plane[i * stride + c] = found[c * size + i];
    }
}

/* Along the last axis, and from squares to distances. */
BL_WIDE static void NAME(last)(const NAME(Task) * task, int64_t job, char *scratch) {
    const Maps *maps = task->maps;
    const int64_t size = maps->shape[2], lines = maps->shape[0] * maps->shape[1];
    const int64_t end = (job + 1) * LINES < lines ? (job + 1) * LINES : lines;
    const NAME(Line) line = NAME(line_of)(task, 2, scratch);
    REAL *found = (REAL *)(scratch + task->scratch_bytes) - size;
    const double scale = task->scale, limit = maps->limit;
    const float most = (float)limit, inside = (float)maps->inside;
    for (int64_t i = job * LINES; i < end; i++) {
        const REAL *squared = task->squared + i * size;
        const int64_t at = (task->map * lines + i) * size;
        NAME(envelope)(&line, squared, found, size);
        if (maps->out_is_double) {
            double *out = (double *)maps->out + at;
            for (int64_t x = 0; x < size; x++) {
                double length = scale * sqrt(fabs((double)found[x]));
                length = length > limit ? limit : length;
                out[x] = found[x] < 0 ? maps->inside - length : length;
            }
        } else if (scale == 1 && sizeof(REAL) == sizeof(float)) {
            float *out = (float *)maps->out + at;
            for (int64_t x = 0; x < size; x++) {
                float length = sqrtf(fabsf((float)found[x]));
                length = length > most ? most : length;
                out[x] = found[x] < 0 ? inside - length : length;
            }
        } else {
            float *out = (float *)maps->out + at;
            for (int64_t x = 0; x < size; x++) {
                float length = (float)(scale * sqrt(fabs((double)found[x])));
                length = length > most ? most : length;
                out[x] = found[x] < 0 ? inside - length : length;
            }
        }
    }
}

/* ---- a map --------------------------------------------------------------------------------------------------- */

static void NAME(sweep_job)(void *context, int64_t job, int worker) {
    NAME(Task) *task = context;
    const Maps *maps = task->maps;
    const int is_volume = maps->shape[0] > 1;
    const int axis = is_volume ? 0 : 1;
    const int64_t stride = is_volume ? maps->shape[1] * maps->shape[2] : maps->shape[2];
    const int64_t first = job * COLUMNS, count = stride - first < COLUMNS ? stride - first : COLUMNS;
    int has_true = 0, has_false = 0;
    (void)worker;
    NAME(sweep)(maps, task->map, task->squared, maps->shape[axis], stride, first, count, task->step[axis], task->half,
                task->limit, &has_true, &has_false);
    if (has_true) __atomic_store_n(&task->has_true, 1, __ATOMIC_RELAXED);
    if (has_false) __atomic_store_n(&task->has_false, 1, __ATOMIC_RELAXED);
}

static void NAME(middle_job)(void *context, int64_t job, int worker) {
    NAME(Task) *task = context;
    NAME(middle)(task, job, task->scratch + (size_t)worker * task->scratch_bytes);
}

static void NAME(last_job)(void *context, int64_t job, int worker) {
    NAME(Task) *task = context;
    NAME(last)(task, job, task->scratch + (size_t)worker * task->scratch_bytes);
}

/* A map in which nothing is measured to anything: all voxels are infinitely far, or, one-sided, all are in it. */
static void NAME(constant)(const Maps *maps, int64_t map, double value) {
    const int64_t voxels = maps->shape[0] * maps->shape[1] * maps->shape[2];
    for (int64_t i = map * voxels; i < (map + 1) * voxels; i++) {
        if (maps->out_is_double) ((double *)maps->out)[i] = value;
        else ((float *)maps->out)[i] = (float)value;
    }
}

static int NAME(measure)(const Maps *maps, int64_t map, const double *spacing, int threads) {
    const int64_t *shape = maps->shape;
    const int64_t voxels = shape[0] * shape[1] * shape[2];
    const int64_t longest = shape[1] > shape[2] ? shape[1] : shape[2];
    const int in_place = maps->out_is_double == (sizeof(REAL) == sizeof(double));
    const int in_steps = sizeof(REAL) == sizeof(float); /* then all spacings are the last one */
    NAME(Task) task = {.maps = maps, .map = map, .scale = in_steps ? spacing[2] : 1, .half = maps->faces ? 0.5 : 0};
    for (int axis = 0; axis < 3; axis++) task.step[axis] = in_steps ? 1 : spacing[axis];
    task.limit = maps->limit / task.scale;
    task.scratch_bytes = (size_t)(longest + 2) * (sizeof(double) + 2 * sizeof(int32_t) + 2 * GATHERED * sizeof(REAL));
    task.scratch_bytes = (task.scratch_bytes + 63) / 64 * 64;
    task.scratch = malloc(task.scratch_bytes * (size_t)threads);
    task.part = malloc((size_t)(longest + 2) * sizeof(double));
    task.squared = in_place ? (REAL *)maps->out + map * voxels : malloc((size_t)voxels * sizeof(REAL));
    const int has_memory = task.scratch && task.part && task.squared;
    if (has_memory) {
        for (int64_t n = 1; n < longest + 2; n++) task.part[n] = 1.0 / (double)n;
        const int64_t columns = shape[0] > 1 ? shape[1] * shape[2] : shape[2];
        bl_parallel((columns + COLUMNS - 1) / COLUMNS, threads, NAME(sweep_job), &task);
        if (!task.has_true) NAME(constant)(maps, map, maps->nowhere[map]);
        else if (!task.has_false) NAME(constant)(maps, map, maps->is_signed ? 0 - maps->nowhere[map] : 0);
        else {
            if (shape[0] > 1 && shape[1] > 1) {
                bl_parallel(shape[0] * ((shape[2] + GATHERED - 1) / GATHERED), threads, NAME(middle_job), &task);
            }
            bl_parallel((shape[0] * shape[1] + LINES - 1) / LINES, threads, NAME(last_job), &task);
        }
    }
    free(task.scratch);
    free(task.part);
    if (!in_place) free(task.squared);
    return has_memory ? 0 : -1;
}
