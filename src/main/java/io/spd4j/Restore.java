package io.spd4j;

import static java.util.stream.Collectors.joining;

import io.spd4j.kernel.Place;
import io.spd4j.kernel.SpdDecision;
import io.spd4j.kernel.SteppedTensor;
import io.spd4j.safetensors.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Brings the state of a checkpoint into an optimizer, after checking that all of it fits. */
final class Restore {
  private static final int MOST_FAULTS = 20;
  private static final int LONGEST_FAULT = 500;

  private final Checkpoint checkpoint;
  private final Map<String, Tensor> tensors;

  /** Null if the checkpoint was written by others. */
  private final SavedOptimizer saved;

  private final List<ParameterGroup> groups;
  private final Place place;

  /** Null if the optimizer has all moments. */
  private final ShardExchange exchange;

  private final List<String> faults = new ArrayList<>();

  /**
   * Checks everything and changes nothing.
   *
   * @param seed the seed that the caller set; null if none
   * @param exchange null if the optimizer has all moments
   * @throws IllegalArgumentException if something does not fit; the message lists what
   */
  Restore(
      Checkpoint checkpoint,
      List<ParameterGroup> groups,
      Long seed,
      Place place,
      ShardExchange exchange) {
    this.checkpoint = checkpoint;
    this.groups = groups;
    this.place = place;
    this.exchange = exchange;
    tensors = checkpoint.tensors();
    saved = checkpoint.optimizer();
    checkAccess();
    if (saved != null && seed != null) {
      compare("seed", seed, saved.seed());
    }
    Set<String> names = new LinkedHashSet<>();
    groups.forEach(group -> group.parameters().forEach(p -> names.add(p.name())));
    Set<String> savedNames = new LinkedHashSet<>(saved != null ? saved.names() : namesOfMoments());
    savedNames.stream()
        .filter(name -> !names.contains(name))
        .forEach(name -> faults.add(name + " is in the checkpoint, but in no group"));
    names.stream()
        .filter(name -> !savedNames.contains(name))
        .forEach(name -> faults.add(name + " is not in the checkpoint"));
    if (saved != null && faults.isEmpty()) {
      compareGroups();
    }
    if (faults.isEmpty()) {
      for (ParameterGroup group : groups) {
        group.parameters().forEach(p -> checkTensors(p, group.amsgrad()));
      }
    }
    refuse();
  }

  /** Checks that this thread can read the checkpoint: all its tensors lie in one arena. */
  private void checkAccess() {
    for (Tensor tensor : tensors.values()) {
      if (!tensor.data().scope().isAlive()) {
        throw new IllegalStateException(
            "the arena of the checkpoint " + checkpoint.path() + " is closed");
      }
      if (!tensor.data().isAccessibleBy(Thread.currentThread())) {
        throw new WrongThreadException(
            "the arena of the checkpoint " + checkpoint.path() + " is confined to another thread");
      }
    }
  }

  /** Returns the seed that the optimizer continues with. */
  long seed(long otherwise) {
    return saved != null ? saved.seed() : otherwise;
  }

  private List<String> namesOfMoments() {
    String suffix = StateTensors.EXP_AVG;
    return tensors.keySet().stream()
        .filter(name -> name.endsWith(suffix))
        .map(name -> name.substring(0, name.length() - suffix.length()))
        .toList();
  }

  private void compareGroups() {
    compare("number of groups", groups.size(), saved.groups().size());
    if (!faults.isEmpty()) {
      return;
    }
    for (int g = 0; g < groups.size(); g++) {
      var now = SavedOptimizer.Group.of(groups.get(g), place);
      var then = saved.groups().get(g);
      String group = " of group " + g;
      compare("beta1" + group, now.beta1(), then.beta1());
      compare("beta2" + group, now.beta2(), then.beta2());
      compare("eps" + group, now.eps(), then.eps());
      compare("amsgrad" + group, now.amsgrad(), then.amsgrad());
      compare("maximize" + group, now.maximize(), then.maximize());
      if (!now.names().equals(then.names())) {
        faults.add(
            "the parameters%s are %s, but in the checkpoint %s"
                .formatted(group, abbreviated(now.names()), abbreviated(then.names())));
        continue;
      }
      for (int i = 0; i < now.parameters().size(); i++) {
        compare(now.parameters().get(i), then.parameters().get(i));
      }
    }
  }

  private static String abbreviated(List<String> names) {
    int most = MOST_FAULTS;
    return names.size() <= most ? names.toString() : names.subList(0, most) + " and more";
  }

  private void compare(SavedOptimizer.Tensor now, SavedOptimizer.Tensor then) {
    String of = " of " + now.name();
    compare("numel" + of, now.numel(), then.numel());
    compare("type" + of, now.type(), then.type());
    compare("low halves" + of, now.low() ? "given" : "none", then.low() ? "given" : "none");
    compare("moment type" + of, now.moments(), then.moments());
    compare("anchor" + of, anchor(now.anchor()), anchor(then.anchor()));
  }

  private static String anchor(String hash) {
    return hash == null ? "none" : hash;
  }

  private void compare(String what, Object now, Object then) {
    if (!now.equals(then)) {
      faults.add("%s: %s, but in the checkpoint %s".formatted(what, now, then));
    }
  }

  private void checkTensors(Parameter p, boolean amsgrad) {
    StateTensors.moments(p, amsgrad).forEach(this::checkTensor);
    data(p).forEach(this::checkTensor);
    if (!amsgrad && tensors.containsKey(p.name() + StateTensors.MAX_EXP_AVG_SQ)) {
      faults.add(
          p.name() + StateTensors.MAX_EXP_AVG_SQ + " is given, but its group is not AMSGrad");
    }
    Tensor step = tensors.get(p.name() + StateTensors.STEP);
    if (step == null) {
      faults.add(p.name() + StateTensors.STEP + " is missing");
    } else if (StateTensors.step(step) < 0) {
      faults.add(p.name() + StateTensors.STEP + " is not a count of steps");
    }
    Tensor spd = tensors.get(p.name() + StateTensors.SPD);
    if (spd != null && !StateTensors.isSpd(spd)) {
      faults.add(p.name() + StateTensors.SPD + " is not a decision of SPD");
    }
  }

  /** Returns the arrays of a parameter's values, if the checkpoint has them. */
  private List<StateTensors.Array> data(Parameter p) {
    return (saved != null ? saved.parameters() : tensors.containsKey(p.name() + StateTensors.DATA))
        ? StateTensors.data(p)
        : List.of();
  }

  private void checkTensor(StateTensors.Array array) {
    Tensor tensor = tensors.get(array.name());
    if (tensor == null) {
      faults.add(array.name() + " is missing");
    } else if (tensor.dtype() != array.type() || tensor.numel() != array.count()) {
      faults.add(
          "%s: %d elements of %s, but in the checkpoint %d of %s"
              .formatted(
                  array.name(), array.count(), array.type(), tensor.numel(), tensor.dtype()));
    }
  }

  private void refuse() {
    if (faults.isEmpty()) {
      return;
    }
    int shown = Math.min(MOST_FAULTS, faults.size());
    String rest = shown < faults.size() ? "; and " + (faults.size() - shown) + " more" : "";
    throw new IllegalArgumentException(
        "the checkpoint %s does not fit: %s%s"
            .formatted(
                checkpoint.path(),
                faults.stream().limit(shown).map(Restore::shortened).collect(joining("; ")),
                rest));
  }

  /** A hostile file can have endless names. */
  private static String shortened(String fault) {
    return fault.length() <= LONGEST_FAULT ? fault : fault.substring(0, LONGEST_FAULT) + "...";
  }

  /** Returns the tensors of all groups with the checkpoint's step counts and decisions of SPD. */
  List<SteppedTensor> continued(List<SteppedTensor> fresh) {
    List<SteppedTensor> continued = new ArrayList<>();
    for (ParameterGroup group : groups) {
      for (Parameter p : group.parameters()) {
        Tensor spd = tensors.get(p.name() + StateTensors.SPD);
        SpdDecision decision = spd == null ? null : StateTensors.spd(spd);
        continued.add(fresh.get(continued.size()).after(checkpoint.step(p.name()), decision));
      }
    }
    return continued;
  }

  /** Copies the state into the arrays of the parameters and sets the settings of the groups. */
  void apply() {
    for (int g = 0; g < groups.size(); g++) {
      ParameterGroup group = groups.get(g);
      for (Parameter p : group.parameters()) {
        for (StateTensors.Array array : StateTensors.moments(p, group.amsgrad())) {
          copyMoment(p, tensors.get(array.name()).data(), array.segment());
        }
        for (StateTensors.Array array : data(p)) {
          place.copy(tensors.get(array.name()).data(), array.segment());
        }
      }
      if (saved != null) {
        SavedOptimizer.Group then = saved.groups().get(g);
        group.lr(then.lr());
        group.decay(then.decay());
        group.frozen(then.frozen());
      }
    }
  }

  private void copyMoment(Parameter p, MemorySegment saved, MemorySegment moment) {
    if (exchange == null) {
      place.copy(saved, moment);
      return;
    }
    for (MomentPart part : exchange.momentParts(p.index())) {
      place.copy(
          saved.asSlice(part.whole(), part.bytes()), moment.asSlice(part.shard(), part.bytes()));
    }
  }
}
