package io.spd4j.torture;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.spd4j.Adam;
import io.spd4j.Checkpoint;
import io.spd4j.NoDecay;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** Saves optimizers and continues from the checkpoints of other backends. */
final class ApiCheckpoints {
  private final SplittableRandom random;
  private final ApiWorld world;
  private final Path folder;

  ApiCheckpoints(SplittableRandom random, ApiWorld world, Path folder) {
    this.random = random;
    this.world = world;
    this.folder = folder;
  }

  private Path path(int subject) {
    return folder.resolve("checkpoint" + subject % world.subjects.size());
  }

  /** Saves an optimizer, closes it, and has each subject continue from another one's file. */
  void saveAndContinue(ModelOptimizer o) {
    boolean parameters = random.nextBoolean();
    Object[] saved =
        world.call(
            "save",
            o.saveFaults(world.elsewhere),
            s -> {
              Checkpoint.of(o.real[s]).parameters(parameters).write(path(s));
              return Files.size(path(s)); // NaNs in it may differ
            });
    world.verify(false);
    if (saved.length == 0) {
      return;
    }
    List<Object> reports = List.copyOf(o.real[0].spdReports());
    ModelOptimizer next = new ModelOptimizer(world.subjects.size());
    o.groups.forEach(g -> next.groups.add(again(g)));
    List<byte[]> moments = moments(o);
    world.call(
        "close",
        new Faults(),
        s -> {
          o.real[s].close();
          return null;
        });
    o.close();
    Faults faults = next.buildFaults();
    List<ModelParameter> all = next.parameters();
    if (all.stream().anyMatch(p -> !p.buildFaults().none())) {
      return; // an empty array lay in the memory that was closed
    }
    boolean misfit = random.nextInt(4) == 0 && !all.isEmpty();
    if (misfit) {
      next.groups.getFirst().maximize ^= true;
    }
    for (ModelGroup g : next.groups) {
      for (int s = 0; s < world.subjects.size(); s++) {
        for (ModelParameter p : g.parameters) {
          p.real[s] = p.build(s);
        }
        g.real[s] = g.build(s);
      }
    }
    next.addSaveFaults(faults, world.elsewhere);
    faults.illegalArgument(misfit);
    Object[] built =
        world.call(
            "restore",
            faults,
            s -> {
              Adam.Builder builder = Adam.builder().backend(world.subjects.get(s));
              next.groups.forEach(g -> builder.group(g.real[s]));
              next.real[s] = builder.restore(path(s + 1)).build();
              return next.real[s].spdReports();
            });
    if (built.length == 0) {
      world.verify(false);
      return;
    }
    next.adopted(world.slabs);
    world.optimizers.add(next);
    world.parameters.addAll(all);
    world.groups.addAll(next.groups);
    for (int i = 0; i < o.groups.size(); i++) {
      ModelGroup g = next.groups.get(i);
      g.lr = o.groups.get(i).lr;
      g.frozen = o.groups.get(i).frozen;
      g.decay = o.groups.get(i).decay;
    }
    for (int i = 0; i < all.size(); i++) {
      all.get(i).step = o.parameters().get(i).step;
    }
    if (!built[0].equals(reports)) {
      throw world.fault(0, "reports were " + reports + " and are " + built[0]);
    }
    List<byte[]> restored = moments(next);
    for (int i = 0; i < moments.size(); i++) {
      if (!Arrays.equals(moments.get(i), restored.get(i))) {
        throw world.fault(0, "moments have changed");
      }
    }
    world.verify(true);
  }

  /** Returns a new group with the fixed settings of another, over the same arrays. */
  private ModelGroup again(ModelGroup g) {
    ModelGroup again = new ModelGroup(world.subjects.size());
    again.lr = 0.5;
    again.beta1 = g.beta1;
    again.beta2 = g.beta2;
    again.eps = g.eps;
    again.amsgrad = g.amsgrad;
    again.maximize = g.maximize;
    again.frozen = random.nextBoolean();
    again.decay = new NoDecay();
    for (ModelParameter p : g.parameters) {
      ModelParameter q = new ModelParameter(world.subjects.size());
      q.name = p.name;
      q.type = p.type;
      q.gradientType = p.gradientType;
      q.anchorType = p.anchorType;
      q.momentType = p.momentType;
      q.data = p.data;
      q.low = p.low;
      q.anchor = p.anchor;
      boolean lives = p.gradient != null && p.gradient.isAlive();
      q.gradient = lives && p.gradient.slab().home != g.owner.home ? p.gradient : null;
      if (p.expAvg.slab().home.kind != Home.Kind.OWN) {
        q.expAvg = p.expAvg;
        q.expAvgSq = p.expAvgSq;
      }
      again.parameters.add(q);
    }
    return again;
  }

  private static List<byte[]> moments(ModelOptimizer o) {
    List<byte[]> all = new ArrayList<>();
    for (ModelParameter p : o.parameters()) {
      for (Spot spot : new Spot[] {p.expAvg, p.expAvgSq, p.maxExpAvgSq}) {
        if (spot != null) {
          all.add(spot.slab().first().asSlice(spot.offset(), spot.bytes()).toArray(JAVA_BYTE));
        }
      }
    }
    return all;
  }
}
