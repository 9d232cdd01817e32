package io.spd4j.torture;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.DecayRule;
import io.spd4j.ElementType;
import io.spd4j.L2SP;
import io.spd4j.MomentType;
import io.spd4j.NoDecay;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.SelectiveProjectionDecay;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Builds, steps, saves, restores and closes optimizers, and steps one of them all the while. Exits
 * with 0 only if that leaves nothing behind. Its heap must have a fixed size.
 */
final class Soaking {
  private static final int STEPS = 20;
  private static final int SAVES = 40;
  private static final int COLD = 50_000;

  /** Bytes by which the memory may grow once all is warm; the JIT and malloc take some. */
  private static final long GROWTH = 40L << 20;

  private final SplittableRandom random = new SplittableRandom(Long.getLong("soak.seed"));
  private final List<Backend> backends = Subject.onCpu();
  private final Path folder = Files.createDirectories(Path.of("saved"));
  private final Arena arena = Arena.ofShared();
  private final List<Parameter> lasting = parameters(arena, 100);
  private final Adam one;

  private Soaking() throws IOException {
    one = Adam.builder().group(1e-3, new SelectiveProjectionDecay(1), lasting).threads(2).build();
  }

  public static void main(String[] args) throws Exception {
    int optimizers = Integer.getInteger("soak.optimizers");
    Soaking soaking = new Soaking();
    soaking.run(optimizers / 2);
    Resources before = soaking.settled(null);
    soaking.run(optimizers);
    Resources after = soaking.settled(before);
    System.out.println("from " + before + " to " + after);
    if (after.anonymous() > before.anonymous() + GROWTH
        || after.threads() > before.threads() + 3 // the JIT's come and go
        || after.files() > before.files()
        || Resources.count(soaking.folder) > 1) {
      throw new AssertionError("something is left");
    }
    soaking.one.close();
    soaking.arena.close();
  }

  /** Waits until the cleaner has run and threads have ended, if that takes no more than a while. */
  private Resources settled(Resources wanted) throws Exception {
    Resources now = null;
    for (int i = 0; i < 100; i++) {
      System.gc();
      Thread.sleep(20);
      now = Resources.now();
      if (wanted != null
          && i > 2
          && now.threads() <= wanted.threads()
          && now.files() <= wanted.files()) {
        break;
      }
    }
    return now;
  }

  private void run(int optimizers) throws IOException {
    for (int i = 0; i < optimizers; i++) {
      try (Arena own = Arena.ofShared()) {
        optimizer(own, i);
      }
    }
  }

  private void optimizer(Arena own, int i) throws IOException {
    DecayRule rule =
        i % 3 == 0 ? new NoDecay() : i % 3 == 1 ? new L2SP(0.1) : new SelectiveProjectionDecay(1);
    ParameterGroup group =
        ParameterGroup.builder().decay(rule).parameters(parameters(own, 1_000)).build();
    Path file = folder.resolve("checkpoint");
    try (Adam adam =
        Adam.builder()
            .backend(backends.get(i % backends.size()))
            .threads(i % 16 == 0 ? 3 : 1)
            .group(group)
            .group(cold(own))
            .build()) {
      adam.step();
      adam.stepClipped(1);
      adam.addParameter(group, parameters(own, 77).getFirst());
      adam.step();
      refused(adam);
      if (i % SAVES == 0) {
        adam.save(file);
      }
    }
    if (i % SAVES == 0) {
      restore(own, rule, file);
    }
    for (int s = 0; s < STEPS; s++) {
      if (s % 10 == 0) {
        lasting.getFirst().gradient(own.allocate(400, 4));
      }
      one.step();
    }
    lasting.getFirst().gradient(null);
  }

  /** Returns a group that no step touches, whose moments would be missed most. */
  private static ParameterGroup cold(Arena arena) {
    Parameter p = Parameter.builder("cold", arena.allocate(4L * COLD, 64)).build();
    return ParameterGroup.builder().parameter(p).build();
  }

  private static void refused(Adam adam) {
    try {
      adam.step(Double.NaN);
    } catch (IllegalArgumentException e) {
      return;
    }
    throw new AssertionError("NaN was accepted");
  }

  private void restore(Arena own, DecayRule rule, Path file) throws IOException {
    ParameterGroup.Builder again =
        ParameterGroup.builder().decay(rule).parameters(parameters(own, 1_000));
    try (Adam adam =
        Adam.builder()
            .group(again.parameter(parameters(own, 77).getFirst()).build())
            .group(cold(own))
            .restore(file)
            .build()) {
      adam.step();
    }
    try {
      Adam.builder().group(1, rule, parameters(own, 7)).restore(file).build();
    } catch (IllegalArgumentException misfit) {
      return;
    }
    throw new AssertionError("a checkpoint of another size was accepted");
  }

  /** Returns parameters of several types, the first of which is named after its size. */
  private List<Parameter> parameters(Arena arena, int numel) {
    List<Parameter> all = new ArrayList<>();
    for (MomentType type : MomentType.values()) {
      MemorySegment[] a = new MemorySegment[3];
      for (int i = 0; i < a.length; i++) {
        a[i] = arena.allocate(4L * numel, 64);
        if (i < 2) { // anchors are the same in a checkpoint
          a[i].setAtIndex(JAVA_FLOAT, random.nextInt(numel), random.nextInt() * 0x1p-31f);
        }
      }
      all.add(
          Parameter.builder("p" + numel + type, a[0])
              .gradient(a[1])
              .anchor(a[2], ElementType.FLOAT32)
              .momentType(type)
              .build());
    }
    return all;
  }
}
