package io.spd4j.torture;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.CautiousDecay;
import io.spd4j.DecayRule;
import io.spd4j.ElementType;
import io.spd4j.L2SP;
import io.spd4j.MomentType;
import io.spd4j.NoDecay;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;

/** Builds parameters, groups and optimizers, right and wrong ones. */
final class ApiBuilds {
  private static final int[] SMALL = {
    0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 200, 1000
  };
  private static final int[] BLOCKS = {0, 5, 4095, 4096, 4097, 8191, 8192, 8193, 12_289};

  /** Enough for two threads to share a step. */
  private static final int[] LARGE = {1, 40_000, 65_536, 70_001, 131_072};

  private static final long[] STEPS = {
    -1, 1, Integer.MAX_VALUE, (1L << 53) - 1000, (1L << 53) + 1, Long.MAX_VALUE, Long.MIN_VALUE
  };

  private static final ElementType[] STEPPED = {
    ElementType.FLOAT32, ElementType.BFLOAT16, ElementType.FLOAT16
  };

  private static final Executor POOL =
      Executors.newCachedThreadPool(Thread.ofPlatform().daemon().factory());
  private static final List<Executor> EXECUTORS =
      List.of(
          POOL,
          Runnable::run,
          helper -> {},
          helper -> {
            throw new RejectedExecutionException("busy");
          });

  private final SplittableRandom random;
  private final ApiWorld world;
  private final Spots spots;
  private final Numbers numbers;
  private final int[] sizes;
  private int names;

  ApiBuilds(SplittableRandom random, ApiWorld world, Spots spots) {
    this.random = random;
    this.world = world;
    this.spots = spots;
    numbers = new Numbers(random);
    int kind = random.nextInt(200);
    sizes = kind == 0 ? LARGE : kind < 10 ? BLOCKS : SMALL;
  }

  private boolean rarely() {
    return random.nextInt(80) == 0;
  }

  private ElementType type() {
    int kind = random.nextInt(100);
    return kind == 0
        ? null
        : kind == 1
            ? ElementType.values()[random.nextInt(ElementType.values().length)]
            : kind < 50 ? ElementType.FLOAT32 : STEPPED[random.nextInt(3)];
  }

  private static int size(ElementType type) {
    return type == null ? 4 : type.byteSize();
  }

  private Spot array(long bytes, int unit, boolean written, boolean wanted) {
    return wanted == rarely() ? null : spots.any(bytes, unit, written);
  }

  void parameter() {
    ModelParameter p = new ModelParameter(world.subjects.size());
    p.name = rarely() ? null : rarely() ? " " : rarely() ? "p1" : "p" + names++;
    p.type = type();
    p.gradientType = type();
    p.anchorType = type();
    p.momentType = rarely() ? null : MomentType.values()[random.nextInt(3)];
    long numel = sizes[random.nextInt(sizes.length)];
    p.data = array(numel * size(p.type), size(p.type), true, true);
    p.low = array(2 * numel, 2, true, p.type == ElementType.BFLOAT16 && random.nextBoolean());
    int unit = size(p.gradientType);
    p.gradient = array(numel * unit, unit, false, random.nextInt(8) > 0);
    p.anchor = array(numel * size(p.anchorType), size(p.anchorType), false, random.nextBoolean());
    boolean moments = random.nextInt(3) == 0;
    p.expAvg = moment(p, numel, moments);
    p.expAvgSq = moment(p, numel, moments);
    p.maxExpAvgSq = moment(p, numel, moments && random.nextInt(4) == 0);
    p.step = rarely() ? pickStep() : moments && random.nextBoolean() ? exponential() : 0;
    Faults faults = p.buildFaults();
    Object[] built =
        world.call(
            "parameter " + p.name,
            faults,
            s -> {
              p.real[s] = p.build(s);
              return p.name;
            });
    world.verify(false);
    if (built.length > 0) {
      fill(p);
      world.parameters.add(p);
    }
  }

  private long pickStep() {
    return STEPS[random.nextInt(STEPS.length)];
  }

  private long exponential() {
    return random.nextLong(1L << random.nextInt(1, 40));
  }

  private Spot moment(ModelParameter p, long numel, boolean wanted) {
    MomentType type = p.momentType == null ? MomentType.FLOAT32 : p.momentType;
    int unit = type == MomentType.BFLOAT16 ? 2 : 4;
    return array(ModelParameter.momentBytes(type, numel), unit, true, wanted);
  }

  /** Gives a parameter new values. */
  void fill(ModelParameter p) {
    spots.fill(p.data, p.type, false);
    if (p.anchor != null) {
      spots.fill(p.anchor, p.anchorType, false);
    }
    fillGradient(p);
  }

  void fillGradient(ModelParameter p) {
    if (p.gradient != null) {
      spots.fill(p.gradient, p.gradientType, random.nextInt(20) == 0);
    }
  }

  DecayRule rule() {
    double lambda = numbers.any(1.5);
    lambda = Numbers.isNonNegative(lambda) ? lambda : 1;
    return switch (random.nextInt(6)) {
      case 0 -> new NoDecay();
      case 1 -> new WeightDecay(lambda);
      case 2 -> new L2SP(lambda, random.nextBoolean());
      case 3 -> new CautiousDecay(lambda);
      default -> new SelectiveProjectionDecay(lambda);
    };
  }

  void group() {
    ModelGroup g = new ModelGroup(world.subjects.size());
    g.lr = numbers.any(0.1);
    g.beta1 = numbers.any(0.95);
    g.beta2 = numbers.any(0.9999);
    g.eps = numbers.any(1e-4);
    g.amsgrad = random.nextInt(4) == 0;
    g.maximize = random.nextInt(4) == 0;
    g.frozen = random.nextInt(6) == 0;
    g.decay = rarely() ? null : rule();
    List<ModelParameter> free = world.parameters.stream().filter(p -> p.owner == null).toList();
    for (int n = random.nextInt(4); n > 0 && !free.isEmpty(); n--) {
      ModelParameter p = rarely() ? spots.pick(world.parameters) : spots.pick(free);
      if (!g.parameters.contains(p) || rarely()) {
        g.parameters.add(p);
      }
    }
    Object[] built =
        world.call(
            "group of " + g.parameters.size(),
            g.buildFaults(),
            s -> {
              g.real[s] = g.build(s);
              return g.parameters.size();
            });
    world.verify(false);
    if (built.length > 0) {
      world.groups.add(g);
    }
  }

  void optimizer() {
    if (world.optimizers.stream().filter(o -> !o.isClosed()).count() > 3) {
      return;
    }
    ModelOptimizer o = new ModelOptimizer(world.subjects.size());
    List<ModelGroup> free = world.groups.stream().filter(g -> g.owner == null).toList();
    for (int n = random.nextInt(8) == 0 ? 0 : random.nextInt(1, 4); n > 0; n--) {
      List<ModelGroup> from = rarely() ? world.groups : free;
      if (!from.isEmpty()) {
        ModelGroup g = spots.pick(from);
        if (!o.groups.contains(g) || rarely()) {
          o.groups.add(g);
        }
      }
    }
    build(o, o.buildFaults(), random.nextLong());
  }

  /** Builds an optimizer; returns whether it was. */
  private boolean build(ModelOptimizer o, Faults faults, long seed) {
    int threads = random.nextInt(6) == 0 ? 3 : 1;
    int executor = random.nextInt(EXECUTORS.size() + 2);
    Object[] built =
        world.call(
            "build",
            faults,
            s -> {
              Adam.Builder builder = builder(o, s).seed(seed).threads(threads);
              Meddler meddler = new Meddler();
              if (threads > 1 && executor <= EXECUTORS.size()) {
                builder.executor(executor == EXECUTORS.size() ? meddler : EXECUTORS.get(executor));
              }
              o.real[s] = builder.build();
              meddler.adam(o.real[s]);
              world.meddlers.add(meddler);
              return null;
            });
    adopt(o, built.length > 0);
    return built.length > 0;
  }

  Adam.Builder builder(ModelOptimizer o, int s) {
    Adam.Builder builder = Adam.builder();
    if (random.nextBoolean() || world.subjects.get(s) != Backend.CUDA || o.parameters().isEmpty()) {
      builder.backend(world.subjects.get(s));
    }
    o.groups.forEach(g -> builder.group(g.real[s]));
    return builder;
  }

  private void adopt(ModelOptimizer o, boolean built) {
    if (built) {
      o.adopted(world.slabs);
      world.optimizers.add(o);
    }
    world.verify(false);
  }
}
