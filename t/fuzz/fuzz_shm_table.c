/* SPDX-License-Identifier: Apache-2.0 */
/* t/fuzz/fuzz_shm_table.c - fuzz target of auth/base: shm_table, shm_quota, against a model */

#include "t/fuzz/fuzz.h"

#include "auth/base/shm_quota.h"

#define KEYS 16      /* of the table's own functions */
#define ALL_KEYS 32  /* the others are of the quota's */
#define OWNER 32     /* key of the quota's list */
#define LEN_MAX 1500 /* of a value */
#define LIMIT 5      /* of the quota */
#define NOW 1000
#define STEPS 64

/* The last value of a key; the table may have lost it, but has no other. */
struct model {
    bool set;
    unsigned version;
    size_t len;
    bool expired;
};

struct run {
    apr_pool_t *pool;
    struct eas_shm_table *table;
    struct eas_shm_quota quota;
    bool list_is_ours; /* no foreign bytes were put in the place of the quota's list */
    struct model models[ALL_KEYS];
};

/* Half of the keys compete for the same slots. */
static void make_key(unsigned char key[EAS_SHM_TABLE_KEY_SIZE], unsigned id)
{
    memset(key, (int)id, EAS_SHM_TABLE_KEY_SIZE);
    key[0] = (unsigned char)(id % 2 ? id : 0);
    key[1] = key[2] = 0;
}

static void fill(unsigned char *value, unsigned id, const struct model *model)
{
    size_t i;

    for (i = 0; i < model->len; i++) {
        value[i] = (unsigned char)(id * 7 + model->version * 13 + i);
    }
}

static struct model next_model(struct run *run, unsigned id, struct eas_bytes *input)
{
    unsigned how = fuzz_octet(input);
    struct model model = { true, run->models[id].version + 1, 0, how % 8 == 0 };

    model.len = (size_t)fuzz_octet(input) * (how % 3 == 0 ? 6 : 1) % LEN_MAX;
    return model;
}

static apr_time_t end_of(const struct model *model)
{
    return model->expired ? NOW : APR_INT64_MAX;
}

/* The key has the value of the model, or none. */
static bool look(struct run *run, unsigned id)
{
    const struct model *model = &run->models[id];
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], *expected;
    const unsigned char *value;
    apr_size_t len;

    make_key(key, id);
    if (!eas_shm_table_get(run->table, run->pool, key, NOW, &value, &len)) {
        return false;
    }
    check(model->set && !model->expired && len == model->len);
    expected = apr_palloc(run->pool, len);
    fill(expected, id, model);
    check(memcmp(value, expected, len) == 0);
    return true;
}

static void put(struct run *run, unsigned id, struct eas_bytes *input)
{
    struct model model = next_model(run, id, input);
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], *value = apr_palloc(run->pool, model.len);

    make_key(key, id);
    fill(value, id, &model);
    check(eas_shm_table_put(run->table, key, value, model.len, end_of(&model))
          == eas_shm_table_takes(run->table, model.len));
    if (eas_shm_table_takes(run->table, model.len)) {
        run->models[id] = model;
        check(look(run, id) == !model.expired);
    }
}

struct change {
    struct run *run;
    unsigned id;
    struct model model;
    bool writes;
};

static bool apply(void *data, struct eas_shm_table_value *value)
{
    struct change *change = data;
    const struct model *model = &change->run->models[change->id];
    unsigned char expected[LEN_MAX];

    if (value->len > 0) {
        check(model->set && !model->expired && value->len == model->len);
        fill(expected, change->id, model);
        check(memcmp(value->bytes, expected, value->len) == 0);
    }
    if (change->writes) {
        value->len = change->model.len;
        value->expires = end_of(&change->model);
        fill(value->bytes, change->id, &change->model);
    }
    return change->writes;
}

static void update(struct run *run, unsigned id, struct eas_bytes *input)
{
    struct change change = { run, id, next_model(run, id, input), fuzz_octet(input) % 4 != 0 };
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

    make_key(key, id);
    if (eas_shm_table_update(run->table, key, NOW, apply, &change) && change.writes) {
        run->models[id] = change.model;
        check(look(run, id) == !change.model.expired);
    }
}

/* The other key may stay. */
static void replace(struct run *run, unsigned id, struct eas_bytes *input)
{
    struct model model = next_model(run, id, input);
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], old[EAS_SHM_TABLE_KEY_SIZE];
    unsigned char *value = apr_palloc(run->pool, model.len);

    make_key(key, id);
    make_key(old, fuzz_octet(input) % KEYS);
    fill(value, id, &model);
    if (eas_shm_table_replace(run->table, eas_shm_table_hash(old), key, value, model.len,
                              end_of(&model))) {
        run->models[id] = model;
        check(look(run, id) == !model.expired);
    }
}

static void drop(struct run *run, unsigned id)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

    make_key(key, id);
    eas_shm_table_drop(run->table, key);
    run->models[id].set = false;
    check(!look(run, id));
}

/* --- the quota -------------------------------------------------------------------------------- */

static unsigned count_members(struct run *run)
{
    unsigned id, found = 0;

    for (id = KEYS; id < ALL_KEYS; id++) {
        found += look(run, id);
    }
    return found;
}

/* A list that the ring has lost begins anew (auth/README), beside the members that are left. */
static bool has_list(struct run *run)
{
    const unsigned char *list;
    apr_size_t len;

    return eas_shm_table_get(run->table, run->pool, run->quota.owner, NOW, &list, &len)
           || count_members(run) == 0;
}

static void quota_put(struct run *run, unsigned id, struct eas_bytes *input)
{
    struct model model = next_model(run, id, input);
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE], *value = apr_palloc(run->pool, model.len);

    model.expired = false;
    make_key(key, id);
    fill(value, id, &model);
    run->list_is_ours = run->list_is_ours && has_list(run);
    if (eas_shm_quota_put(run->table, &run->quota, key, eas_bytes_make(value, model.len), NOW,
                          end_of(&model))) {
        run->models[id] = model;
        check(look(run, id));
    }
    check(count_members(run) <= LIMIT || !run->list_is_ours);
}

/* Any bytes in the place of the list. */
static void put_list(struct run *run, struct eas_bytes *input)
{
    struct eas_bytes list = fuzz_take(input, (size_t)fuzz_number(input, 2) % 2048);

    if (eas_shm_table_put(run->table, run->quota.owner, list.at, list.len, APR_INT64_MAX)) {
        run->list_is_ours = false;
    }
}

static void quota_rest(struct run *run, unsigned id, struct eas_bytes *input)
{
    unsigned char key[EAS_SHM_TABLE_KEY_SIZE];

    make_key(key, id);
    if (fuzz_octet(input) % 2) {
        eas_shm_quota_release(run->table, &run->quota, key, NOW);
    }
    eas_shm_quota_is_full(run->table, &run->quota, NOW);
}

/* --- the run ---------------------------------------------------------------------------------- */

static void step(struct run *run, struct eas_bytes *input)
{
    unsigned what = fuzz_octet(input), id = fuzz_octet(input) % KEYS;

    switch (what % 9) {
    case 0:
        look(run, id);
        break;
    case 1:
        put(run, id, input);
        break;
    case 2:
        update(run, id, input);
        break;
    case 3:
        replace(run, id, input);
        break;
    case 4:
        drop(run, id);
        break;
    case 5:
        put_list(run, input);
        break;
    case 6:
        quota_rest(run, KEYS + id, input);
        break;
    default:
        quota_put(run, KEYS + id, input);
    }
}

static void fuzz(apr_pool_t *pool, struct eas_bytes input)
{
    size_t size = 6144 + fuzz_number(&input, 2) % 16384;
    void *memory = malloc(size);
    struct run run = { .pool = pool, .quota.limit = LIMIT, .list_is_ours = true };
    unsigned n_steps = 0;

    check(memory != NULL);
    memset(memory, (int)fuzz_octet(&input), size);
    check(eas_shm_table_attach(memory, size) == NULL); /* of the memory's former content */
    memset(memory, 0, size);
    eas_shm_table_format(memory, size);
    run.table = eas_shm_table_attach(memory, size);
    check(run.table != NULL && eas_shm_table_attach(memory, size - 8) == NULL);
    make_key(run.quota.owner, OWNER);
    while (input.len > 0 && n_steps++ < STEPS) {
        step(&run, &input);
    }
    eas_shm_table_evicted(run.table);
    free(memory);
}
