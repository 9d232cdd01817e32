package io.spd4j.torture;

import io.spd4j.Adam;
import io.spd4j.MomentType;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;

/** What the model knows of an optimizer, and the subjects' optimizers. */
final class ModelOptimizer {
  final List<ModelGroup> groups = new ArrayList<>();
  final Adam[] real;

  /** Where its own moments lie; closed with the optimizer. */
  final Home home;

  ModelOptimizer(int subjects) {
    real = new Adam[subjects];
    home = new Home(Home.Kind.OWN, subjects);
  }

  boolean isClosed() {
    return home.isClosed();
  }

  List<ModelParameter> parameters() {
    return groups.stream().flatMap(g -> g.parameters.stream()).toList();
  }

  /** Returns what is wrong with building it. */
  Faults buildFaults() {
    Faults faults = new Faults().illegalArgument(groups.isEmpty());
    faults.illegalArgument(new HashSet<>(groups).size() < groups.size());
    Set<String> names = new HashSet<>();
    List<ModelParameter> all = parameters();
    for (ModelGroup group : groups) {
      faults.illegalArgument(group.owner != null);
      for (ModelParameter p : group.parameters) {
        faults.illegalArgument(!names.add(p.name));
        addFaults(faults, p, group);
      }
    }
    for (int i = 0; i < all.size(); i++) {
      for (int k = 0; k <= i; k++) {
        faults.illegalArgument(clash(all.get(i), all.get(k)));
      }
    }
    return faults;
  }

  private static void addFaults(Faults faults, ModelParameter p, ModelGroup group) {
    faults
        .illegalArgument(p.owner != null)
        .illegalArgument(p.maxExpAvgSq != null && !group.amsgrad)
        .illegalArgument(group.amsgrad && p.maxExpAvgSq == null && p.step > 0)
        .illegalArgument(group.amsgrad && p.momentType == MomentType.BLOCKWISE_8BIT);
    for (List<Spot> spots : List.of(p.written(), p.read())) {
      spots.forEach(spot -> faults.illegalArgument(!spot.isAlive()));
    }
  }

  /** Returns whether an array that steps write overlaps another. */
  private static boolean clash(ModelParameter p, ModelParameter q) {
    List<Spot> written = p.written();
    List<Spot> others = q.written();
    for (int i = 0; i < written.size(); i++) {
      for (int k = 0; k < (p == q ? i : others.size()); k++) {
        if (written.get(i).overlaps(others.get(k))) {
          return true;
        }
      }
    }
    return clash(written, q.read()) || p != q && clash(others, p.read());
  }

  private static boolean clash(List<Spot> some, List<Spot> others) {
    return some.stream().anyMatch(s -> others.stream().anyMatch(s::overlaps));
  }

  /** Returns what is wrong with adding a parameter. */
  Faults addFaults(ModelGroup group, ModelParameter p) {
    Faults faults = new Faults().nullPointer(group == null || p == null).illegalState(isClosed());
    if (group != null) {
      faults.illegalArgument(group.owner != null && group.owner != this);
      faults.illegalArgument(group.owner == null && !group.parameters.isEmpty());
    }
    if (p != null && group != null) {
      addFaults(faults, p, group);
      faults.illegalArgument(clash(p, p));
      for (ModelParameter other : parameters()) {
        faults.illegalArgument(other.name.equals(p.name) || clash(p, other));
      }
    }
    return faults;
  }

  /** Returns what is wrong with replacing a gradient. */
  Faults gradientFaults(Spot gradient) {
    return new Faults()
        .illegalState(isClosed())
        .illegalArgument(
            gradient != null
                && parameters().stream().anyMatch(p -> clash(p.written(), List.of(gradient))));
  }

  Faults stepFaults(boolean elsewhere) {
    Faults faults = new Faults().illegalState(isClosed());
    parameters().stream()
        .filter(ModelParameter::isActive)
        .forEach(p -> p.addStepFaults(faults, elsewhere));
    return faults;
  }

  /** Saving needs all arrays but the gradients. */
  Faults saveFaults(boolean elsewhere) {
    Faults faults = new Faults().illegalState(isClosed());
    addSaveFaults(faults, elsewhere);
    return faults;
  }

  void addSaveFaults(Faults faults, boolean elsewhere) {
    for (ModelParameter p : parameters()) {
      List<Spot> spots = new ArrayList<>(p.written());
      if (p.anchor != null) {
        spots.add(p.anchor);
      }
      for (Spot spot : spots) {
        faults.illegalState(!spot.isAlive()).wrongThread(elsewhere && spot.isConfined());
      }
    }
  }

  /** Takes over the groups once the optimizers are built. */
  void adopted(List<Slab> slabs) {
    for (ModelGroup group : groups) {
      group.owner = this;
      group.parameters.forEach(p -> adopted(p, group, slabs));
    }
  }

  void adopted(ModelParameter p, ModelGroup group, List<Slab> slabs) {
    p.owner = this;
    p.group = group;
    if (p.expAvg == null) {
      p.expAvg = own(p, slabs, q -> q.expAvg());
      p.expAvgSq = own(p, slabs, q -> q.expAvgSq());
    }
    if (group.amsgrad && p.maxExpAvgSq == null) {
      p.maxExpAvgSq = own(p, slabs, q -> q.maxExpAvgSq());
    }
    p.declareFloats();
  }

  private Spot own(
      ModelParameter p, List<Slab> slabs, Function<io.spd4j.Parameter, MemorySegment> array) {
    MemorySegment[] given = new MemorySegment[real.length];
    for (int s = 0; s < given.length; s++) {
      given[s] = array.apply(p.real[s]);
    }
    Slab slab = new Slab(home, given);
    slabs.add(slab);
    return new Spot(slab, 0, slab.bytes, false);
  }

  void close() {
    home.close();
  }
}
