/*
 * Tests that steps on a CUDA device give the bits of the reference, for every rule, option and awkward size. The test
 * also runs on the host, with the emulated runtime of native/test/cuda_on_host.
 */
#include <cuda_runtime.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

extern "C" {
#include "model.h"
#include "reference.h"
}
#include "spd4j_cuda.h"
#include "testing.h"

namespace {

enum { B = SPD4J_BLOCK, GUARD = 128, POISON = 0xc3 };
const int64_t sizes[] = {0, 1, 2, 3, 4, 5, 63, 64, 65, 255, 1023, 1024, 1025, B - 1, B, B + 1, 3 * B + 7};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

cudaStream_t stream;

void cuda(int error, const char *what) {
  if (error == cudaSuccess) return;
  fprintf(stderr, "%s: %s\n", what, cudaGetErrorString((cudaError_t)error));
  exit(1);
}

#define CUDA(call) cuda(call, #call)

/*
 * Device memory after a guard zone of at least GUARD bytes. It is followed by a second guard zone, or by the end of the
 * allocation, where tools also see accesses that change nothing.
 */
struct device_array {
  unsigned char *base = nullptr;
  size_t before = 0, size = 0, behind = 0;

  void *data() const { return base ? base + before : nullptr; }
};

void put(const device_array &a, const void *bytes) {
  if (a.size > 0) CUDA(cudaMemcpyAsync(a.data(), bytes, a.size, cudaMemcpyHostToDevice, stream));
  CUDA(cudaStreamSynchronize(stream)); /* the caller may now change the bytes */
}

device_array device_new(const void *bytes, size_t size, size_t offset, bool guarded_behind) {
  device_array a;
  a.before = GUARD + offset, a.size = size, a.behind = guarded_behind ? (size_t)GUARD : 0;
  void *base;
  CUDA(cudaMalloc(&base, a.before + a.size + a.behind));
  a.base = (unsigned char *)base;
  CUDA(cudaMemsetAsync(base, POISON, a.before + a.size + a.behind, stream));
  put(a, bytes);
  return a;
}

/* Copies the array to the host. Returns false if a guard zone was written to. */
bool get(const device_array &a, void *bytes) {
  std::vector<unsigned char> all(a.before + a.size + a.behind);
  CUDA(cudaMemcpyAsync(all.data(), a.base, all.size(), cudaMemcpyDeviceToHost, stream));
  CUDA(cudaStreamSynchronize(stream));
  if (a.size > 0) memcpy(bytes, &all[a.before], a.size);
  bool intact = true;
  for (size_t i = 0; i < all.size(); i++)
    intact = intact && (all[i] == POISON || (i >= a.before && i < a.before + a.size));
  return intact;
}

const std::vector<types> float32 = {{SPD4J_TYPE_FLOAT32, false, SPD4J_TYPE_FLOAT32, SPD4J_TYPE_FLOAT32,
                                      SPD4J_MOMENTS_FLOAT32}};

/* Float32, each other type alone, and mixtures. */
const std::vector<types> all_types = [] {
  enum { F32 = SPD4J_TYPE_FLOAT32, BF16 = SPD4J_TYPE_BFLOAT16, F16 = SPD4J_TYPE_FLOAT16 };
  enum { M32 = SPD4J_MOMENTS_FLOAT32, M16 = SPD4J_MOMENTS_BFLOAT16, M8 = SPD4J_MOMENTS_8BIT };
  return std::vector<types>{{F32, false, F32, F32, M32},  {BF16, true, F32, F32, M32},  {BF16, false, F32, F32, M32},
                            {F16, false, F32, F32, M32},  {F32, false, BF16, F32, M32}, {F32, false, F16, F32, M32},
                            {F32, false, F32, BF16, M32}, {F32, false, F32, F16, M32},  {F32, false, F32, F32, M16},
                            {F32, false, F32, F32, M8},   {BF16, true, BF16, BF16, M8}, {BF16, false, F16, F16, M16},
                            {F16, false, BF16, BF16, M8}};
}();

/* A tensor and its group; with group -1 the tensor is not stepped. */
struct tensor_spec {
  int64_t numel, group;
  bool anchored, amsgrad;
};

/* The same tensors on both sides: `expected` and the vectors below are the reference's, `table` is the device's. */
struct trial {
  model *expected, *fetched; /* fetched: what the device has written, for comparison */
  std::vector<spd4j_cuda_group> groups;
  std::vector<spd4j_scalars> scalars;
  std::vector<spd4j_cuda_state> states;
  spd4j_cuda_control control;
  uint64_t random;

  std::vector<device_array> arrays; /* ARRAYS of each tensor */
  device_array d_blocks, d_tensors, d_scalars, d_sums, d_groups, d_states, d_control, d_items;
  spd4j_cuda_table table;
  spd4j_cuda_run run;
};

int64_t block_count(const trial &t, int64_t tensor) { return (t.expected->tensors[tensor].numel + B - 1) / B; }

template <typename T>
device_array device_table(const T *rows, size_t count) {
  return device_new(rows, count * sizeof(T), 0, true);
}

/* Whether a tensor has only float32 arrays. */
bool is_float32(const spd4j_tensor &t) { return (t.param_type | t.grad_type | t.anchor_type | t.moment_type) == 0; }

/* Makes items for tensors [first, end) in a random order that the ABI allows, and picks a number of thread blocks. */
void set_run(trial &t, int64_t first, int64_t end) {
  std::vector<spd4j_cuda_item> items;
  bool spd = false, typed = next_random(&t.random) % 4 == 0; /* kernels for any types step float32, too */
  for (int64_t i = first; i < end; i++) typed = typed || !is_float32(t.expected->tensors[i]);
  for (int64_t i = first; i < end; i++) spd = spd || t.groups[(size_t)t.states[(size_t)i].group].rule == SPD4J_RULE_SPD;
  int64_t projected = first < end ? t.states[(size_t)first].first_block : 0;
  for (int64_t i = first; i < end; i++) {
    const int64_t begin = t.states[(size_t)i].first_block, updated = begin + block_count(t, i);
    for (int64_t b = begin; b < updated && t.expected->tensors[i].scalars >= 0; b++) items.push_back({b, 1, 0});
    if (!spd || (i + 1 < end && next_random(&t.random) % 3 > 0)) continue;
    for (int64_t b = updated; b > projected;) {
      const int64_t some = 1 + (int64_t)(next_random(&t.random) % SPD4J_CUDA_PROJECT_BLOCKS);
      const int64_t count = some < b - projected ? some : b - projected;
      items.push_back({b - 1, (int32_t)count, 1});
      b -= count;
    }
    projected = updated;
  }
  if (t.d_items.base) CUDA(cudaFree(t.d_items.base));
  t.d_items = device_table(items.data(), items.size());
  const int64_t resident[] = {t.run.resident, 1, 2, 7, 1000};
  t.run = {(const spd4j_cuda_item *)t.d_items.data(), (int64_t)items.size(), first, end, spd,
           resident[next_random(&t.random) % 5], typed};
}

/* Kinds of alignment: every array at a multiple of 16 bytes; all but the array of this number; none. */
enum { ALIGNED = -1, UNALIGNED = ARRAYS };

/* What the address of an array is at least a multiple of. */
size_t unit_of(const spd4j_tensor &t, int array) {
  const int32_t type = array == PARAM_LOW ? (int32_t)SPD4J_TYPE_BFLOAT16
                       : array == PARAM   ? t.param_type
                       : array == GRAD    ? t.grad_type
                       : array == ANCHOR  ? t.anchor_type
                       : t.moment_type == SPD4J_MOMENTS_BFLOAT16 ? (int32_t)SPD4J_TYPE_BFLOAT16
                                                                 : (int32_t)SPD4J_TYPE_FLOAT32;
  return type == SPD4J_TYPE_FLOAT32 ? 4 : 2;
}

/* Tensor i has the types at i + seed, modulo their number; with 8-bit moments it is not AMSGrad's. */
trial trial_new(const std::vector<tensor_spec> &specs, const std::vector<spd4j_cuda_group> &groups, int alignment,
                uint64_t seed, const std::vector<types> &types_of = float32) {
  trial t = {};
  const size_t n = specs.size();
  std::vector<spec> model_specs;
  std::vector<types> model_types;
  for (size_t i = 0; i < n; i++) {
    model_types.push_back(types_of[(i + seed) % types_of.size()]);
    model_specs.push_back({specs[i].numel, specs[i].group < 0 ? -1 : (int64_t)i, specs[i].anchored,
                           specs[i].amsgrad && model_types[i].moments != SPD4J_MOMENTS_8BIT});
  }
  t.expected = model_new_typed(model_specs.data(), (int64_t)n, model_types.data(), (int)n, 0, seed);
  t.groups = groups;
  t.random = seed;
  t.scalars.resize(n);
  memset((void *)t.scalars.data(), POISON, n * sizeof(spd4j_scalars));
  memset((void *)&t.control, POISON, sizeof t.control);
  int64_t first_block = 0;
  for (size_t i = 0; i < n; i++) {
    /* Fields that only SPD sets start with other values. */
    spd4j_cuda_state s = {};
    s.group = specs[i].group < 0 ? 0 : specs[i].group;
    s.first_block = first_block;
    s.step = (int64_t)(i % 5) * 1000;
    s.spd_step = -3, s.checked = 7, s.selected = 5, s.ratio_sum = 0.5;
    s.grad_dot = s.dev_sq = s.new_dev_sq = s.grad_sq = 99;
    s.pending = 1234, s.shrink = 0.25f;
    t.states.push_back(s);
    while (first_block < t.expected->table.block_count && t.expected->blocks[first_block].tensor == (int64_t)i)
      first_block++;
  }
  t.fetched = model_copy(t.expected);
  t.expected->table.scalars = t.scalars.data();

  std::vector<spd4j_tensor> tensors(t.expected->tensors, t.expected->tensors + n);
  for (size_t i = 0; i < n; i++) {
    for (int array = 0; array < ARRAYS; array++) {
      const float *data = model_data(t.expected, (int64_t)i, array);
      const size_t size = t.expected->arrays[i][array].size, unit = unit_of(tensors[i], array);
      const size_t offset = alignment == array || alignment == UNALIGNED ? unit * (1 + (i + (size_t)array) % 3) : 0;
      t.arrays.push_back(data ? device_new(data, size, offset, (i + (size_t)array) % 2 == 0) : device_array());
    }
    const device_array *a = &t.arrays[i * ARRAYS];
    tensors[i].param = a[PARAM].data();
    tensors[i].param_low = a[PARAM_LOW].data();
    tensors[i].grad = a[GRAD].data();
    tensors[i].anchor = a[ANCHOR].data();
    tensors[i].exp_avg = a[EXP_AVG].data();
    tensors[i].exp_avg_sq = a[EXP_AVG_SQ].data();
    tensors[i].max_exp_avg_sq = a[MAX_EXP_AVG_SQ].data();
    tensors[i].shrink = NAN; /* not used */
  }
  t.d_blocks = device_table(t.expected->blocks, (size_t)t.expected->table.block_count);
  t.d_tensors = device_table(tensors.data(), n);
  t.d_scalars = device_table(t.scalars.data(), n);
  t.d_sums = device_table(t.expected->sums, (size_t)t.expected->table.block_count);
  t.d_groups = device_table(groups.data(), groups.size());
  t.d_states = device_table(t.states.data(), n);
  t.d_control = device_table(&t.control, 1);
  t.table = {(const spd4j_block *)t.d_blocks.data(),       (const spd4j_tensor *)t.d_tensors.data(),
             (spd4j_scalars *)t.d_scalars.data(),          (spd4j_sums *)t.d_sums.data(),
             (const spd4j_cuda_group *)t.d_groups.data(),  (spd4j_cuda_state *)t.d_states.data(),
             (spd4j_cuda_control *)t.d_control.data()};
  CUDA(spd4j_cuda_resident(&t.run.resident));
  CHECK(t.run.resident > 0, "%lld", (long long)t.run.resident);
  set_run(t, 0, (int64_t)n);
  return t;
}

void trial_free(trial &t) {
  for (const device_array &a : t.arrays) CUDA(cudaFree(a.base));
  for (const device_array &a : {t.d_blocks, t.d_tensors, t.d_scalars, t.d_sums, t.d_groups, t.d_states, t.d_control,
                                t.d_items})
    CUDA(cudaFree(a.base));
  model_free(t.expected);
  model_free(t.fetched);
}

/* --- The expected results, in plain loops written from native/NUMERICS.md. ---------------------------------------- */

double power(double base, int64_t exponent) {
  double product = 1;
  for (int bit = 0; bit < 63; bit++, base = base * base)
    if (exponent >> bit & 1) product = product * base;
  return product;
}

spd4j_scalars scalars_at(const spd4j_cuda_group &g, double grad_scale, int64_t step, spd4j_scalars k) {
  k.beta1 = (float)g.beta1;
  k.one_minus_beta1 = (float)(1 - g.beta1);
  k.beta2 = (float)g.beta2;
  k.one_minus_beta2 = (float)(1 - g.beta2);
  k.eps = (float)g.eps;
  const double bias1 = 1 - power(g.beta1, step), bias2 = 1 - power(g.beta2, step);
  k.step_size = (float)(g.lr / bias1);
  k.inv_sqrt_bias2 = (float)(1 / sqrt(bias2));
  k.decay = (float)reference_decay(g.rule, g.lr, g.lambda);
  k.grad_scale = (float)(g.maximize ? -grad_scale : grad_scale);
  k.rule = g.rule;
  k.lambda = g.lambda;
  k.step = step;
  return k;
}

double tensor_sum(const trial &t, int64_t tensor, double spd4j_sums::*field) {
  double lanes[SPD4J_TENSOR_LANES] = {};
  for (int64_t b = 0; b < block_count(t, tensor); b++)
    lanes[b % SPD4J_TENSOR_LANES] += t.expected->sums[t.states[(size_t)tensor].first_block + b].*field;
  for (int width = SPD4J_TENSOR_LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) lanes[l] = lanes[l] + lanes[l + width];
  return lanes[0];
}

void expect_norm(trial &t, double grad_scale, double max_norm) {
  double sum = 0;
  for (int64_t i = t.run.first_tensor; i < t.run.end_tensor; i++) {
    spd4j_cuda_state &s = t.states[(size_t)i];
    if (t.expected->tensors[i].scalars < 0) continue;
    reference_grad_sq(&t.expected->table, s.first_block, s.first_block + block_count(t, i));
    s.grad_sq = tensor_sum(t, i, &spd4j_sums::grad_sq);
    sum = sum + s.grad_sq;
  }
  const double root = sqrt(sum), norm = root * grad_scale, ratio = max_norm / (norm + 1e-6);
  t.control.norm = norm;
  t.control.grad_scale = grad_scale * (ratio < 1 ? ratio : 1);
  t.control.skip = !(root * (double)(float)t.control.grad_scale < 0x1p63);
}

void expect_step(trial &t, double grad_scale, bool clip) {
  if (clip && t.control.skip) return;
  for (int64_t i = t.run.first_tensor; i < t.run.end_tensor; i++) {
    spd4j_cuda_state &s = t.states[(size_t)i];
    spd4j_tensor &tensor = t.expected->tensors[i];
    if (tensor.scalars < 0) continue;
    const spd4j_cuda_group &g = t.groups[(size_t)s.group];
    spd4j_scalars &k = t.scalars[(size_t)i];
    k = scalars_at(g, clip ? t.control.grad_scale : grad_scale, ++s.step, k);
    const int64_t begin = s.first_block, end = begin + block_count(t, i);
    reference_update(&t.expected->table, begin, end);
    if (g.rule != SPD4J_RULE_SPD) continue;
    s.spd_step = s.step;
    s.checked++;
    s.pending = -1;
    s.grad_dot = tensor_sum(t, i, &spd4j_sums::grad_dot);
    s.dev_sq = tensor_sum(t, i, &spd4j_sums::dev_sq);
    s.new_dev_sq = tensor_sum(t, i, &spd4j_sums::new_dev_sq);
    s.shrink = 0;
    if (-s.grad_dot < 0) {
      const double before = sqrt(s.dev_sq), after = sqrt(s.new_dev_sq);
      double r = 0;
      if (after > 0) r = (after - before) / after;
      if (r < 0) r = 0;
      if (r > 1) r = 1;
      s.shrink = (float)(g.lambda * r);
      s.selected++;
      s.ratio_sum = s.ratio_sum + r;
    }
    tensor.shrink = s.shrink;
    reference_project(&t.expected->table, begin, end);
  }
}

/* --- Comparison of both sides. ------------------------------------------------------------------------------------ */

/* Whether the bits are the same; all NaNs are equal. */
bool same(double a, double b) { return isnan(a) ? isnan(b) : memcmp(&a, &b, sizeof a) == 0; }

/* All fields with a defined value, as numbers. */
std::vector<double> values(const spd4j_cuda_state &s) {
  return {(double)s.group,    (double)s.first_block, (double)s.step, (double)s.spd_step, (double)s.checked,
          (double)s.selected, s.ratio_sum,           s.grad_dot,     s.dev_sq,           s.new_dev_sq,
          s.grad_sq,          (double)s.pending,     (double)s.shrink};
}

std::vector<double> values(const spd4j_cuda_control &c) {
  return {c.norm, (double)c.skip, c.skip ? 0 : c.grad_scale};
}

template <typename T>
void compare_values(const T &actual, const T &expected, const char *what, const char *of, size_t index) {
  const std::vector<double> a = values(actual), e = values(expected);
  for (size_t i = 0; i < a.size(); i++)
    CHECK(same(a[i], e[i]), "%s: value %zu of %s %zu: %a and %a", what, i, of, index, a[i], e[i]);
}

/* Checks that everything on the device is as expected. */
void compare(trial &t, const char *name, bool nan_ok) {
  const size_t n = t.states.size();
  bool intact = true;
  for (size_t i = 0; i < n; i++)
    for (int a = 0; a < ARRAYS; a++)
      if (t.arrays[i * ARRAYS + (size_t)a].base)
        intact = get(t.arrays[i * ARRAYS + (size_t)a], model_data(t.fetched, (int64_t)i, a)) && intact;
  intact = get(t.d_sums, t.fetched->sums) && intact;
  CHECK(model_same(t.fetched, t.expected, nan_ok), "%s", name);

  std::vector<spd4j_scalars> scalars(n);
  std::vector<spd4j_cuda_state> states(n);
  spd4j_cuda_control control;
  intact = get(t.d_scalars, scalars.data()) && intact;
  intact = get(t.d_states, states.data()) && intact;
  intact = get(t.d_control, &control) && intact;
  CHECK(intact, "%s: a guard zone was written to", name);
  for (size_t i = 0; i < n; i++) {
    compare_values(states[i], t.states[i], name, "state", i);
    CHECK(memcmp(&scalars[i], &t.scalars[i], sizeof scalars[i]) == 0, "%s: scalars of tensor %zu", name, i);
  }
  compare_values(control, t.control, name, "control", 0);
}

/* Copies an array of each tensor to the device again. */
void put_array(trial &t, int array) {
  for (size_t i = 0; i < t.states.size(); i++)
    if (model_data(t.expected, (int64_t)i, array))
      put(t.arrays[i * ARRAYS + (size_t)array], model_data(t.expected, (int64_t)i, array));
}

void set_gradients(trial &t, uint64_t seed) {
  model_gradients(t.expected, seed);
  put_array(t, GRAD);
}

void set_lr(trial &t, double lr) {
  for (spd4j_cuda_group &g : t.groups) g.lr = lr;
  put(t.d_groups, t.groups.data());
}

void step(trial &t, double grad_scale, bool clip = false, double max_norm = 1) {
  if (clip) {
    CUDA(spd4j_cuda_norm(&t.table, &t.run, grad_scale, max_norm, stream));
    expect_norm(t, grad_scale, max_norm);
  }
  CUDA(spd4j_cuda_step(&t.table, &t.run, grad_scale, clip, stream));
  expect_step(t, grad_scale, clip);
}

spd4j_cuda_group group_of(int rule, bool maximize = false) {
  return {0.01, 0.9, 0.999, 1e-8, 0.3, rule, maximize};
}

/* A group for each rule, or for each that does not decide, and each group with maximize, too. */
std::vector<spd4j_cuda_group> groups_of(bool deciding = true) {
  std::vector<spd4j_cuda_group> groups;
  for (int rule = 0; rule < ROWS; rule++)
    for (int maximize = 0; maximize < 2; maximize++)
      if (deciding || !spd4j_rule_decides(rule)) groups.push_back(group_of(rule, maximize));
  return groups;
}

/* Random tensors of all kinds in these groups; some are not stepped. */
std::vector<tensor_spec> mixed(size_t count, const std::vector<spd4j_cuda_group> &groups, uint64_t random) {
  std::vector<tensor_spec> specs;
  for (size_t i = 0; i < count; i++) {
    const uint64_t r = next_random(&random);
    const int64_t group = (int64_t)((r >> 8 & 0xffff) % (groups.size() + 1)) - 1;
    specs.push_back({sizes[r % SIZES], group, (r >> 32 & 1) != 0, (r >> 33 & 1) != 0});
  }
  return specs;
}

/* --- Tests. ------------------------------------------------------------------------------------------------------- */

void every_rule_option_size_and_alignment(const std::vector<types> &types_of) {
  static const double grad_scales[] = {1, 0.37, 1.0 / 1024};
  for (int variant = 0; variant < ROWS * 2 * 2; variant++)
    for (int alignment = ALIGNED; alignment <= UNALIGNED; alignment++) {
      std::vector<tensor_spec> specs;
      for (int64_t size : sizes) specs.push_back({size, 0, (variant & 1) != 0, (variant >> 1 & 1) != 0});
      const int any = variant + alignment + 1;
      spd4j_cuda_group group = group_of(variant / 4, any % 3 == 0);
      if (any % 2 == 0) group.eps = 0; /* elements beyond a block compute 0 / 0 */
      trial t = trial_new(specs, {group}, alignment, (uint64_t)any, types_of);
      for (int i = 0; i < 2; i++) {
        set_gradients(t, (uint64_t)(variant + 100 * i));
        step(t, grad_scales[any % 3]);
      }
      compare(t, "rule", false);
      trial_free(t);
    }
}

void float32_in_every_way() { every_rule_option_size_and_alignment(float32); }

void every_type_in_every_way() { every_rule_option_size_and_alignment(all_types); }

void rules_and_types_mixed_over_many_steps() {
  for (uint64_t seed = 1; seed <= 4; seed++) {
    trial t = trial_new(mixed(40, groups_of(), seed), groups_of(), seed < 3 ? (int)UNALIGNED : (int)ALIGNED, seed,
                        seed == 1 ? float32 : all_types);
    for (int i = 0; i < 20; i++) {
      set_gradients(t, seed * 100 + (uint64_t)i);
      set_lr(t, 0.02 / (i + 1));
      step(t, 1);
      if (i % 8 == 0) compare(t, "early", false);
    }
    compare(t, "late", false);
    trial_free(t);
  }
}

/* More tensors than a thread block has threads, and more blocks than a warp has in flight. */
void many_tensors_and_a_large_one() {
  std::vector<tensor_spec> specs = {{270 * B + 5, 2 * SPD4J_RULE_SPD, true, false}};
  for (int64_t i = 0; i < 600; i++) specs.push_back({i % 3, i % (2 * ROWS), i % 4 == 0, i % 5 == 0});
  trial t = trial_new(specs, groups_of(), ALIGNED, 5, all_types);
  step(t, 1, true, 0.5);
  compare(t, "many", false);
  trial_free(t);
}

/* SPD selects some tensors and not others, and none that is on its anchor. */
void spd_selects_some() {
  std::vector<tensor_spec> specs;
  for (int64_t i = 0; i < 60; i++) specs.push_back({1 + i * 97, 0, i % 2 == 0, false});
  trial t = trial_new(specs, {group_of(SPD4J_RULE_SPD)}, ALIGNED, 9);
  for (int64_t i = 0; i < 60; i += 6)
    memcpy(model_data(t.expected, i, PARAM), model_data(t.expected, i, ANCHOR), (size_t)specs[(size_t)i].numel * 4);
  put_array(t, PARAM);
  step(t, 1);
  int projected = 0;
  for (const spd4j_cuda_state &s : t.states) projected += s.shrink > 0;
  CHECK(projected > 10 && projected < 50, "%d", projected);
  compare(t, "some", false);
  trial_free(t);
}

void only_the_run_is_stepped() {
  trial t = trial_new(mixed(30, groups_of(), 21), groups_of(), GRAD, 21, all_types);
  static const int64_t runs[][2] = {{0, 7}, {7, 7}, {7, 8}, {12, 30}, {29, 30}};
  for (const int64_t *r : runs) {
    set_run(t, r[0], r[1]);
    step(t, 1, true, 0.1);
    compare(t, "run", false);
  }
  trial_free(t);
}

void nothing_to_step() {
  trial t = trial_new({{0, 2 * SPD4J_RULE_SPD, true, true}, {0, 0, false, false}, {100, -1, true, false}}, groups_of(),
                      ALIGNED, 1);
  CHECK(t.run.item_count == 0 || t.run.spd, "items without blocks");
  step(t, 0.5, true, 2);
  compare(t, "empty", false);
  CHECK(t.states[0].step == 1 && t.states[0].checked == 8, "state");
  CHECK(t.control.norm == 0 && t.control.grad_scale == 0.5, "control");
  trial_free(t);
}

void clip_and_skip(const std::vector<spd4j_cuda_group> &groups, const std::vector<types> &types_of) {
  static const float bad[] = {INFINITY, -INFINITY, NAN};
  trial t = trial_new(mixed(24, groups, 3), groups, UNALIGNED, 33, types_of);
  step(t, 0.5, true, 1e-3);
  CHECK(t.control.grad_scale < 0.5, "clipped");
  compare(t, "clipped", false);
  step(t, 0.5, true, 1e9);
  CHECK(t.control.grad_scale == 0.5, "not clipped");
  compare(t, "not clipped", false);
  for (float value : bad) {
    /* The last gradient of the last tensor that is stepped. */
    int64_t last = 23;
    while (t.expected->tensors[last].scalars < 0 || t.expected->tensors[last].numel == 0) last--;
    const int64_t at = t.expected->tensors[last].numel - 1;
    const float good = model_get(t.expected, last, GRAD, at);
    model_set(t.expected, last, GRAD, at, value);
    put_array(t, GRAD);
    step(t, 0.5, true, INFINITY);
    CHECK(t.control.skip, "skipped");
    compare(t, "skipped", false);
    model_set(t.expected, last, GRAD, at, good);
    put_array(t, GRAD);
    step(t, 0.5, true, INFINITY);
    CHECK(!t.control.skip, "stepped");
    compare(t, "stepped again", false);
  }
  step(t, 0x1p120, true, INFINITY);
  CHECK(t.control.skip && isfinite(t.control.norm), "skipped, as squares would overflow");
  compare(t, "skipped, as squares would overflow", false);
  step(t, 0x1p120, true, 1e-3);
  CHECK(!t.control.skip, "clipped from far above");
  compare(t, "clipped from far above", false);
  trial_free(t);
}

void clipped_and_skipped() {
  for (const std::vector<types> &types_of : {float32, all_types}) {
    clip_and_skip(groups_of(), types_of);
    clip_and_skip(groups_of(false), types_of);
  }
}

/* Stochastic rounding, too, gets new random bits in each replay. */
void graph_replayed_while_lr_changes() {
  trial t = trial_new(mixed(30, groups_of(), 8), groups_of(), ALIGNED, 44, all_types);
  CUDA(cudaStreamSynchronize(stream));
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CUDA(spd4j_cuda_norm(&t.table, &t.run, 1, 0.7, stream));
  CUDA(spd4j_cuda_step(&t.table, &t.run, 1, 1, stream));
  CUDA(cudaStreamEndCapture(stream, &graph));
  CUDA(cudaGraphInstantiate(&exec, graph, 0));
  CUDA(cudaGraphDestroy(graph));
  compare(t, "captured, not run", false);
  for (int i = 0; i < 10; i++) {
    set_gradients(t, 1000 + (uint64_t)i);
    set_lr(t, 0.03 * (i + 1));
    CUDA(cudaGraphLaunch(exec, stream));
    expect_norm(t, 1, 0.7);
    expect_step(t, 1, true);
    if (i % 3 == 0) compare(t, "replayed", false);
  }
  CUDA(cudaGraphExecDestroy(exec));
  trial_free(t);
}

void nan_infinity_and_subnormals() {
  static const float specials[] = {0.0f,    -0.0f,    0x1p-149f, -0x1p-149f, 0x1.8p-130f, FLT_MIN, -FLT_MIN, FLT_MAX,
                                   -FLT_MAX, INFINITY, -INFINITY, NAN,        1.0f,        -1.0f,   1e-30f,   1.5e20f};
  for (int variant = 0; variant < ROWS * 2 * 2; variant++) {
    /* Many short tensors, so that not every sum is NaN. */
    std::vector<tensor_spec> specs;
    for (int64_t i = 0; i < 60; i++)
      specs.push_back({i < 4 ? 997 : 3 + i % 7, 0, (variant & 1) != 0, (variant >> 1 & 1) != 0});
    uint64_t random = (uint64_t)variant;
    trial t = trial_new(specs, {group_of(variant / 4)}, variant % 2 ? ALIGNED : UNALIGNED, random,
                        variant % 3 == 0 ? float32 : all_types);
    for (int64_t i = 0; i < (int64_t)specs.size(); i++)
      for (int a = 0; a < PARAM_LOW; a++)
        for (int64_t j = 0; model_data(t.expected, i, a) && j < specs[(size_t)i].numel; j++)
          if (next_random(&random) % 4 == 0) model_set(t.expected, i, a, j, specials[next_random(&random) % 16]);
    for (int a = 0; a < ARRAYS; a++) put_array(t, a);
    step(t, 1);
    compare(t, "special", true);
    trial_free(t);
  }
}

/* --- Interpolation. ----------------------------------------------------------------------------------------------- */

size_t bytes_of(int32_t type, int64_t n) { return (size_t)n * (type == SPD4J_TYPE_FLOAT32 ? 4 : 2); }

/* Random numbers, and some that are special, as n elements of a type. Cut off, the last NaN would become infinity. */
std::vector<unsigned char> random_array(int32_t type, int64_t n, uint64_t *random) {
  const float some[] = {INFINITY, -INFINITY, NAN,        0.0f,     -0.0f,   FLT_MAX,
                        -FLT_MAX, 0x1p-149f, -0x1p-127f, 65504.0f, -__builtin_nansf("1")};
  std::vector<unsigned char> array(bytes_of(type, n));
  for (int64_t i = 0; i < n; i++) {
    const uint64_t which = next_random(random) >> 40;
    reference_set_nearest(type, array.data(), i, which % 4 ? random_float(random) : some[which / 4 % 11]);
  }
  return array;
}

/* place: 0 for a dst of its own, 1 to interpolate in from, 2 in to; skew: elements before each array. */
void check_interpolation(int32_t from_type, int32_t to_type, int32_t dst_type, int64_t n, double alpha, int place,
                         int64_t skew, uint64_t seed) {
  uint64_t random = seed;
  const std::vector<unsigned char> from = random_array(from_type, n, &random), to = random_array(to_type, n, &random);
  std::vector<unsigned char> expected(bytes_of(dst_type, n)), got(bytes_of(dst_type, n), POISON);
  for (int64_t i = 0; i < n; i++)
    reference_set_nearest(dst_type, expected.data(), i,
                          reference_interpolate(alpha, reference_get(from_type, from.data(), i),
                                                reference_get(to_type, to.data(), i)));
  const device_array x = device_new(from.data(), from.size(), bytes_of(from_type, skew), true);
  const device_array y = device_new(to.data(), to.size(), bytes_of(to_type, skew), true);
  const device_array z = device_new(got.data(), got.size(), bytes_of(dst_type, skew), true);
  const device_array &dst = place == 1 ? x : place == 2 ? y : z;
  CUDA(spd4j_cuda_interpolate(x.data(), from_type, y.data(), to_type, alpha, dst.data(), dst_type, n, stream));
  CHECK(get(dst, got.data()), "written outside of an array of %lld", (long long)n);
  for (int64_t i = 0; i < n; i++)
    CHECK(reference_same(dst_type, got.data(), expected.data(), i),
          "types %d %d %d, alpha %g, place %d, %lld of %lld: %a, not %a", from_type, to_type, dst_type, alpha, place,
          (long long)i, (long long)n, (double)reference_get(dst_type, got.data(), i),
          (double)reference_get(dst_type, expected.data(), i));
  CUDA(cudaFree(x.base));
  CUDA(cudaFree(y.base));
  CUDA(cudaFree(z.base));
}

void interpolation_of_every_type_size_and_alpha() {
  const double alphas[] = {0, 0.25, 0.3, 0.5, 1};
  uint64_t seed = 1;
  for (int mix = 0; mix < 27; mix++)
    for (int size = 0; size < SIZES; size++, seed++) {
      const int32_t from_type = mix % 3, to_type = mix / 3 % 3, dst_type = mix / 9;
      const int places[] = {0, from_type == dst_type ? 1 : 0, to_type == dst_type ? 2 : 0};
      const int64_t skews[] = {0, 0, 1, 2, 3};
      check_interpolation(from_type, to_type, dst_type, sizes[size], alphas[seed % 5], places[seed / 2 % 3],
                          skews[seed / 3 % 5], seed);
    }
}

void version_device_name_and_layout() {
  CHECK(spd4j_cuda_abi_version() == SPD4J_CUDA_ABI_VERSION, "%d", spd4j_cuda_abi_version());
  char name[256] = "", start[6] = "?????";
  CHECK(spd4j_cuda_device_name(0, name, sizeof name) == cudaSuccess && strlen(name) >= 5, "%s", name);
  CHECK(spd4j_cuda_device_name(0, start, 5) == cudaSuccess, "cut");
  CHECK(strncmp(start, name, 4) == 0 && start[4] == 0, "%s", start);
  CHECK(spd4j_cuda_device_name(12345, name, sizeof name) == cudaErrorInvalidDevice, "no such device");
  cudaGetLastError();

#define SIZE(type) (int64_t)sizeof(spd4j_cuda_##type)
#define AT(type, field) (int64_t)offsetof(spd4j_cuda_##type, field)
  const int64_t expected[] = {
      SIZE(group), AT(group, lr), AT(group, beta1), AT(group, beta2), AT(group, eps), AT(group, lambda),
      AT(group, rule), AT(group, maximize),

      SIZE(state), AT(state, group), AT(state, first_block), AT(state, step), AT(state, spd_step), AT(state, checked),
      AT(state, selected), AT(state, ratio_sum), AT(state, grad_dot), AT(state, dev_sq), AT(state, new_dev_sq),
      AT(state, grad_sq), AT(state, pending), AT(state, shrink), AT(state, reserved),

      SIZE(control), AT(control, norm), AT(control, grad_scale), AT(control, ticket), AT(control, skip),

      SIZE(item), AT(item, block), AT(item, count), AT(item, project),

      SIZE(table), AT(table, blocks), AT(table, tensors), AT(table, scalars), AT(table, sums), AT(table, groups),
      AT(table, states), AT(table, control),

      SIZE(run), AT(run, items), AT(run, item_count), AT(run, first_tensor), AT(run, end_tensor), AT(run, spd),
      AT(run, resident), AT(run, typed),
  };
  enum { COUNT = sizeof expected / sizeof expected[0] };
  int64_t values[COUNT + 1];
  CHECK(spd4j_cuda_layout(nullptr, 0) == COUNT, "count");
  values[COUNT] = values[COUNT - 1] = -77;
  CHECK(spd4j_cuda_layout(values, COUNT - 1) == COUNT && values[COUNT - 1] == -77, "capacity");
  CHECK(spd4j_cuda_layout(values, COUNT + 1) == COUNT && values[COUNT] == -77, "capacity");
  for (int i = 0; i < COUNT; i++) CHECK(values[i] == expected[i], "value %d: %lld", i, (long long)values[i]);
}

} // namespace

int main() {
  CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  test("version, device name and layout", version_device_name_and_layout);
  test("float32: every rule, option, size and alignment", float32_in_every_way);
  test("other types: every rule, option, size and alignment", every_type_in_every_way);
  test("rules and types mixed over many steps", rules_and_types_mixed_over_many_steps);
  test("many tensors and a large one", many_tensors_and_a_large_one);
  test("SPD selects some", spd_selects_some);
  test("only the run is stepped", only_the_run_is_stepped);
  test("nothing to step", nothing_to_step);
  test("clipped and skipped", clipped_and_skipped);
  test("a graph replayed while lr changes", graph_replayed_while_lr_changes);
  test("NaN, infinity and subnormals", nan_infinity_and_subnormals);
  test("interpolation of every type, size and alpha", interpolation_of_every_type_size_and_alpha);
  CUDA(cudaStreamDestroy(stream));
  return finish();
}
