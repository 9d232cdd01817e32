package io.spd4j.torture;

import io.spd4j.Adam;
import io.spd4j.CautiousDecay;
import io.spd4j.DecayRule;
import io.spd4j.ElementType;
import io.spd4j.L2SP;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;

/** Makes one random call after the other. */
final class ApiCalls {
  private final SplittableRandom random;
  private final ApiWorld world;
  private final Numbers numbers;
  private final Spots spots;
  private final ApiBuilds builds;
  private final ApiCheckpoints checkpoints;

  ApiCalls(SplittableRandom random, ApiWorld world, Path folder) {
    this.random = random;
    this.world = world;
    numbers = new Numbers(random);
    spots = new Spots(random, world);
    builds = new ApiBuilds(random, world, spots);
    checkpoints = new ApiCheckpoints(random, world, folder);
  }

  void next() {
    world.elsewhere = random.nextInt(16) == 0;
    int kind = random.nextInt(1000);
    if (kind < 100 && world.parameters.size() < 24) {
      builds.parameter();
    } else if (kind < 160 && world.groups.size() < 12) {
      builds.group();
    } else if (kind < 220) {
      builds.optimizer();
    } else if (kind < 225) {
      spots.closeHome();
    } else if (kind < 240) {
      refusal();
    } else if (!world.optimizers.isEmpty()) {
      ModelOptimizer o = spots.pick(world.optimizers);
      if (kind < 290) {
        addParameter(o);
      } else if (kind < 350) {
        settings(o);
      } else if (kind < 420) {
        fill(o);
      } else if (kind < 428) {
        close(o);
      } else if (kind < 430) {
        checkpoints.saveAndContinue(o);
      } else if (kind < 530 && !o.parameters().isEmpty()) {
        ofParameter(o, spots.pick(o.parameters()));
      } else {
        step(o);
      }
    }
  }

  private void step(ModelOptimizer o) {
    Faults faults = o.stepFaults(world.elsewhere);
    double scale = numbers.any(2);
    double maxNorm = numbers.any(10);
    Faults scaled = o.stepFaults(world.elsewhere).illegalArgument(!Numbers.isScale(scale));
    Faults clipped = o.stepFaults(world.elsewhere).illegalArgument(!Numbers.isMaxNorm(maxNorm));
    Faults both =
        o.stepFaults(world.elsewhere)
            .illegalArgument(!Numbers.isScale(scale) || !Numbers.isMaxNorm(maxNorm));
    switch (random.nextInt(9)) {
      case 0 -> stepped(o, world.call("step", faults, s -> none(o.real[s]::step)));
      case 1, 2 ->
          stepped(o, world.call("step " + scale, scaled, s -> none(() -> o.real[s].step(scale))));
      case 3 ->
          clipped(o, world.call("clip " + maxNorm, clipped, s -> o.real[s].stepClipped(maxNorm)));
      case 4 ->
          clipped(
              o,
              world.call(
                  "clip " + maxNorm + " " + scale,
                  both,
                  s -> o.real[s].stepClipped(maxNorm, scale)));
      case 5 -> {
        world.call(
            "clipAndStep " + maxNorm + " " + scale,
            both,
            s -> none(() -> o.real[s].clipAndStep(maxNorm, scale)));
        List<ModelParameter> active =
            o.parameters().stream().filter(ModelParameter::isActive).toList();
        boolean taken =
            both.none()
                && !active.isEmpty()
                && active.getFirst().real[0].step() > active.getFirst().step;
        stepped(o, taken ? new Object[1] : new Object[0]);
      }
      case 6 -> {
        world.call("norm", faults, s -> o.real[s].gradientNorm());
        world.verify(false);
      }
      case 7 -> {
        world.call("reports", new Faults(), s -> o.real[s].spdReports());
        world.verify(false);
      }
      default -> {
        Faults open = new Faults().illegalState(o.isClosed());
        // CUDA looks at the arrays here, the CPU at nothing
        if (random.nextBoolean() && (!world.onDevice() || faults.none())) {
          world.call("uploadSettings", open, s -> none(o.real[s]::uploadSettings));
        } else {
          Faults save = o.saveFaults(world.elsewhere);
          world.call("gatherLow", save, s -> none(o.real[s]::gatherLow));
        }
        world.verify(false);
      }
    }
  }

  private static Object none(Runnable call) {
    call.run();
    return null;
  }

  /** A step of all parameters was taken, unless it was refused. */
  private void stepped(ModelOptimizer o, Object[] results) {
    if (results.length > 0) {
      o.parameters().stream().filter(ModelParameter::isActive).forEach(p -> p.step++);
    }
    world.verify(results.length > 0);
  }

  private void clipped(ModelOptimizer o, Object[] norms) {
    boolean taken = norms.length > 0 && Double.isFinite((double) norms[0]);
    stepped(o, taken ? norms : new Object[0]);
  }

  private void ofParameter(ModelOptimizer o, ModelParameter p) {
    switch (random.nextInt(7)) {
      case 6 -> ready(o, p);
      case 0 -> stepParameter(o, p);
      case 1 -> report(o, p);
      case 2 -> address(o, p);
      default -> gradient(o, p);
    }
  }

  private void stepParameter(ModelOptimizer o, ModelParameter p) {
    double scale = numbers.any(2);
    ModelParameter any = random.nextInt(20) == 0 ? spots.pick(world.parameters) : p;
    Faults faults =
        new Faults()
            .illegalState(o.isClosed())
            .illegalArgument(!Numbers.isScale(scale) || any.owner != o);
    if (any.owner == o && any.isActive()) {
      any.addStepFaults(faults, world.elsewhere);
    }
    if (world.onDevice() && !o.stepFaults(false).none()) {
      return; // CUDA looks at all arrays, the CPU at one parameter's
    }
    Object[] taken =
        world.call(
            "stepParameter " + any.name + " " + scale,
            faults,
            s -> o.real[s].stepParameter(any.real[s], scale));
    if (taken.length > 0) {
      if ((boolean) taken[0] != any.isActive()) {
        throw world.fault(0, "returned " + taken[0]);
      }
      any.step += any.isActive() ? 1 : 0;
    }
    world.verify(taken.length > 0 && any.isActive());
  }

  private void report(ModelOptimizer o, ModelParameter p) {
    ModelParameter any = random.nextInt(4) == 0 ? spots.pick(world.parameters) : p;
    Faults faults = new Faults().illegalArgument(any.owner != o);
    world.call("spdReport", faults, s -> o.real[s].spdReport(any.real[s]));
    world.verify(false);
  }

  private void ready(ModelOptimizer o, ModelParameter p) {
    ModelParameter any = spots.pick(random.nextInt(4) == 0 ? world.parameters : o.parameters());
    Faults faults =
        new Faults().illegalState(o.isClosed()).illegalArgument(any.owner != o || any == p);
    world.call(
        "gradientsReady",
        faults,
        s -> {
          o.real[s].gradientsReady(List.of(p.real[s], any.real[s]));
          return null;
        });
    world.verify(false);
  }

  private void gradient(ModelOptimizer o, ModelParameter p) {
    int size = p.gradientType.byteSize();
    long bytes = p.numel() * size;
    Spot spot =
        random.nextInt(5) == 0
            ? null
            : random.nextInt(30) == 0 ? p.expAvg : spots.any(bytes, size, false);
    Faults faults =
        o.gradientFaults(spot).illegalArgument(spot != null && spot.isFaulty(size, bytes, false));
    Object[] set =
        world.call(
            "gradient of " + p.name,
            faults,
            s -> {
              p.real[s].gradient(Spot.of(spot, s));
              return null;
            });
    if (set.length > 0) {
      p.gradient = spot;
    }
    world.verify(false);
    if (set.length > 0 && random.nextBoolean()) {
      builds.fillGradient(p);
    }
  }

  /** A gradient at an address lies in the global scope. */
  private void address(ModelOptimizer o, ModelParameter p) {
    Spot spot = spots.any(p.numel() * p.gradientType.byteSize(), p.gradientType.byteSize(), false);
    if (spot.slab().home.kind != Home.Kind.GLOBAL || spot.bytes() == 0) {
      return;
    }
    boolean odd = random.nextInt(10) == 0;
    Faults faults =
        o.gradientFaults(new Spot(spot.slab(), spot.offset(), numelBytes(p), false))
            .illegalArgument(odd || spot.offset() % p.gradientType.byteSize() != 0);
    if (spot.bytes() != numelBytes(p)) {
      return; // an address has no size of its own
    }
    Object[] set =
        world.call(
            "address of " + p.name,
            faults,
            s -> {
              p.real[s].gradient(odd ? 0 : spot.of(s).address());
              return null;
            });
    if (set.length > 0) {
      p.gradient = spot;
    }
    world.verify(false);
  }

  private static long numelBytes(ModelParameter p) {
    return p.numel() * p.gradientType.byteSize();
  }

  private void addParameter(ModelOptimizer o) {
    List<ModelParameter> free = world.parameters.stream().filter(p -> p.owner == null).toList();
    if (free.isEmpty() || world.groups.isEmpty()) {
      return;
    }
    ModelParameter p =
        random.nextInt(20) == 0
            ? null
            : spots.pick(random.nextInt(10) == 0 ? world.parameters : free);
    ModelGroup g =
        random.nextInt(20) == 0
            ? null
            : random.nextInt(4) == 0 || o.groups.isEmpty()
                ? spots.pick(world.groups)
                : spots.pick(o.groups);
    Faults faults = o.addFaults(g, p);
    Object[] added =
        world.call(
            "addParameter " + (p == null ? null : p.name),
            faults,
            s -> {
              o.real[s].addParameter(g == null ? null : g.real[s], p == null ? null : p.real[s]);
              return null;
            });
    if (added.length > 0) {
      if (g.owner == null) {
        g.owner = o;
        o.groups.add(g);
      }
      g.parameters.add(p);
      o.adopted(p, g, world.slabs);
    }
    world.verify(false);
  }

  private void settings(ModelOptimizer o) {
    ModelGroup g = spots.pick(o.groups);
    double lr = numbers.any(0.1);
    boolean frozen = random.nextInt(3) == 0;
    DecayRule rule = random.nextInt(30) == 0 ? null : builds.rule();
    switch (random.nextInt(3)) {
      case 0 -> {
        Faults faults = new Faults().illegalArgument(!Numbers.isNonNegative(lr));
        world.call("lr " + lr, faults, s -> none(() -> g.real[s].lr(lr)));
        g.lr = faults.none() ? lr : g.lr;
      }
      case 1 -> {
        world.call("frozen " + frozen, new Faults(), s -> none(() -> g.real[s].frozen(frozen)));
        g.frozen = frozen;
      }
      default -> {
        Faults faults = new Faults().nullPointer(rule == null);
        world.call("decay " + rule, faults, s -> none(() -> g.real[s].decay(rule)));
        g.decay = rule == null ? g.decay : rule;
      }
    }
    world.verify(false);
  }

  /** Gives an optimizer's parameters new gradients, and now and then new values. */
  private void fill(ModelOptimizer o) {
    boolean all = random.nextInt(4) == 0;
    for (ModelParameter p : o.parameters()) {
      if (all) {
        builds.fill(p);
      } else {
        builds.fillGradient(p);
      }
    }
  }

  private void close(ModelOptimizer o) {
    world.call("close", new Faults(), s -> none(o.real[s]::close));
    o.close();
    world.verify(false);
  }

  /** Builds an optimizer of more elements than there is memory for their moments. */
  private void huge() {
    long bytes = 4 * random.nextLong(1L << 44, 1L << random.nextInt(45, 61));
    world.call(
        "huge",
        new Faults().add(OutOfMemoryError.class, true),
        s -> {
          MemorySegment data = MemorySegment.ofAddress(1 << 20).reinterpret(bytes);
          List<Parameter> one = List.of(Parameter.builder("huge", data).build());
          return Adam.builder().backend(world.subjects.get(s)).group(1, builds.rule(), one).build();
        });
    world.verify(false);
  }

  /** Makes a call with one bad argument. */
  private void refusal() {
    if (random.nextInt(500) == 0 && !world.onDevice()) {
      huge();
      return;
    }
    double x = numbers.odd();
    int threads = List.of(0, -1, 1025, 1, 1024, Integer.MIN_VALUE).get(random.nextInt(6));
    Faults nonNegative = new Faults().illegalArgument(!Numbers.isNonNegative(x));
    Faults none = new Faults().nullPointer(true);
    switch (random.nextInt(12)) {
      case 0 -> world.call("λ " + x, nonNegative, s -> new WeightDecay(x));
      case 1 -> world.call("λ " + x, nonNegative, s -> new L2SP(x, true));
      case 2 -> world.call("λ " + x, nonNegative, s -> new SelectiveProjectionDecay(x));
      case 3 -> world.call("λ " + x, nonNegative, s -> new CautiousDecay(1).withLambda(x));
      case 4 ->
          world.call(
              "threads " + threads,
              new Faults().illegalArgument(threads < 1 || threads > 1024),
              s -> none(() -> Adam.builder().threads(threads)));
      case 5 -> world.call("no group", none, s -> Adam.builder().group(null));
      case 6 -> world.call("no backend", none, s -> Adam.builder().backend(null));
      case 7 -> world.call("no executor", none, s -> Adam.builder().executor(null));
      case 8 -> world.call("no parameter", none, s -> ParameterGroup.builder().parameter(null));
      case 9 -> world.call("no parameters", none, s -> ParameterGroup.builder().parameters(null));
      case 10 ->
          world.call(
              "address",
              new Faults().illegalArgument(true),
              s -> Parameter.ofAddress("a", random.nextInt(2), 5, ElementType.FLOAT32));
      default ->
          world.call(
              "numel",
              new Faults().illegalArgument(true),
              s ->
                  Parameter.ofAddress(
                      "a", 64, random.nextLong() | Long.MIN_VALUE, ElementType.BFLOAT16));
    }
    world.verify(false);
  }
}
