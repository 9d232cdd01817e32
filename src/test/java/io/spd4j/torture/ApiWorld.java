package io.spd4j.torture;

import io.spd4j.Backend;
import io.spd4j.ParameterGroup;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * The subjects' memory and objects beside the model of them. Makes each call on every subject, and
 * compares what it throws, returns and leaves with the model and between subjects.
 */
final class ApiWorld {
  /** A call of a subject. */
  interface Call {
    /** Returns what must be equal for all subjects, or null. */
    Object on(int subject) throws Exception;
  }

  /** A thread that owns no arena. */
  private static final ExecutorService OTHER =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().factory());

  final List<Backend> subjects;
  final List<Home> homes = new ArrayList<>();
  final List<Slab> slabs = new ArrayList<>();
  final List<ModelParameter> parameters = new ArrayList<>();
  final List<ModelGroup> groups = new ArrayList<>();
  final List<ModelOptimizer> optimizers = new ArrayList<>();
  final List<Meddler> meddlers = new ArrayList<>();

  /** Whether calls are made in a thread that owns no arena. */
  boolean elsewhere;

  long calls;
  long refused;
  private String what;

  ApiWorld(List<Backend> subjects) {
    this.subjects = subjects;
  }

  boolean onDevice() {
    return subjects.contains(Backend.CUDA);
  }

  /**
   * Makes a call on every subject.
   *
   * @return what it returned; an empty array if it was refused
   */
  Object[] call(String what, Faults faults, Call call) {
    this.what = what + (elsewhere ? " in another thread" : "");
    Object[] results = new Object[subjects.size()];
    for (int s = 0; s < results.length; s++) {
      Throwable thrown = null;
      try {
        results[s] = elsewhere ? elsewhere(call, s) : call.on(s);
      } catch (Exception | Error e) {
        thrown = e;
      }
      if (!faults.expect(thrown)) {
        throw new AssertionError(
            "%s, %s: expected %s".formatted(this.what, subjects.get(s), faults), thrown);
      }
      Subject.await(subjects.get(s));
      if (!Objects.equals(results[s], results[0])) {
        throw fault(s, "returned %s, not %s".formatted(results[s], results[0]));
      }
    }
    calls += results.length;
    refused += faults.none() ? 0 : results.length;
    return faults.none() ? results : new Object[0];
  }

  private static Object elsewhere(Call call, int subject) throws Exception {
    try {
      return OTHER.submit(() -> call.on(subject)).get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw (Exception) e.getCause();
    }
  }

  /** Compares everything with the model, and between subjects. */
  void verify(boolean arraysMayHaveChanged) {
    for (Slab slab : slabs) {
      String fault = slab.fault(arraysMayHaveChanged);
      if (fault != null) {
        throw new AssertionError(
            "after %s: %s in %d bytes of %s %s"
                .formatted(what, fault, slab.bytes, slab.home.kind, arrays(slab)));
      }
      if (arraysMayHaveChanged) {
        slab.keep();
      }
    }
    for (int s = 0; s < subjects.size(); s++) {
      for (ModelParameter p : parameters) {
        verify(p, s);
      }
      for (ModelGroup g : groups) {
        verify(g, s);
      }
    }
    meddlers.forEach(Meddler::verify);
  }

  private void verify(ModelParameter p, int s) {
    if (p.real[s].step() != p.step) {
      throw fault(s, p.name + " is at step " + p.real[s].step() + ", not " + p.step);
    }
    boolean none = p.real[s].gradient() == null;
    if (none != (p.gradient == null)
        || !none && p.real[s].gradient().address() != p.gradient.of(s).address()) {
      throw fault(s, "the gradient of " + p.name + " is another one");
    }
  }

  private void verify(ModelGroup g, int s) {
    ParameterGroup real = g.real[s];
    if (real.lr() != g.lr
        || real.frozen() != g.frozen
        || !real.decay().equals(g.decay)
        || real.parameters().size() != g.parameters.size()) {
      throw fault(s, "settings differ");
    }
  }

  private List<String> arrays(Slab slab) {
    List<String> arrays = new ArrayList<>();
    for (ModelParameter p : parameters) {
      for (List<Spot> spots : List.of(p.written(), p.read())) {
        for (Spot spot : spots) {
          if (spot.slab() == slab) {
            arrays.add(p.name + " " + p.type + " " + p.momentType + " @" + spot.offset());
          }
        }
      }
    }
    return arrays;
  }

  AssertionError fault(int subject, String fault) {
    return new AssertionError("after " + what + ", " + subjects.get(subject) + ": " + fault);
  }

  /** Forgets what can no longer be used. */
  void tidy() {
    slabs.removeIf(slab -> slab.home.isClosed());
    if (optimizers.size() > 5) {
      optimizers.remove(optimizers.stream().filter(ModelOptimizer::isClosed).findFirst().get());
    }
    parameters.removeIf(p -> p.owner != null && !optimizers.contains(p.owner));
    groups.removeIf(g -> g.owner != null && !optimizers.contains(g.owner));
  }

  void close() {
    for (ModelOptimizer o : optimizers) {
      for (int s = 0; s < subjects.size(); s++) {
        o.real[s].close();
      }
      o.close();
    }
    homes.forEach(Home::close);
  }
}
