package io.spd4j;

import io.spd4j.cuda.DeviceArena;
import io.spd4j.kernel.Place;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Checks the parameters of an optimizer, those that it is built with and those that join it. Each
 * name is used once, no parameter belongs to another optimizer, and only AMSGrad groups have a
 * maxExpAvgSq, and none has 8-bit moments. An array that steps write overlaps no other array;
 * arrays that are only read may overlap, and those of closed arenas do not count. All arrays lie
 * where the backend can step them. Also describes arrays for messages.
 */
final class ArrayChecks {
  private record Array(String what, MemorySegment segment, boolean written) {
    long begin() {
      return segment.address();
    }

    long end() {
      long end = segment.address() + segment.byteSize();
      return end < 0 ? Long.MAX_VALUE : end; // no memory is there
    }

    /** What lay in an arena that is closed may by now be the memory of another array. */
    boolean hasMemory() {
      return segment.byteSize() > 0 && segment.scope().isAlive();
    }
  }

  private final List<Parameter> parameters = new ArrayList<>();
  private final Set<String> names = new HashSet<>();

  /** The arrays that steps write, by their first address. */
  private final TreeMap<Long, Array> written = new TreeMap<>();

  /** Whether steps write gradients. */
  private final boolean addsGradients;

  private Place place;

  /**
   * @param addsGradients whether steps write gradients, because they add those of other processes
   */
  ArrayChecks(ParameterGroup[] groups, boolean addsGradients) {
    this.addsGradients = addsGradients;
    Set<Parameter> given = new HashSet<>();
    List<Array> arrays = new ArrayList<>();
    for (ParameterGroup group : groups) {
      for (Parameter p : group.parameters()) {
        if (!given.add(p)) {
          throw new IllegalArgumentException(
              p.name() + " is given twice: a parameter belongs to one group");
        }
        check(p, group);
        parameters.add(p);
        names.add(p.name());
        arrays.addAll(arrays(p));
      }
    }
    written.putAll(written(arrays));
  }

  private void check(Parameter p, ParameterGroup group) {
    if (p.owner() != null) {
      throw new IllegalArgumentException(
          p.name()
              + (p.owner().isClosed()
                  ? " belongs to an optimizer that is closed"
                  : " belongs to another optimizer")
              + ": build a new Parameter over its arrays");
    }
    if (names.contains(p.name())) {
      throw new IllegalArgumentException("two parameters are named " + p.name());
    }
    if (p.maxExpAvgSq() != null && !group.amsgrad()) {
      throw new IllegalArgumentException(
          "maxExpAvgSq of " + p.name() + " is given, but its group is not AMSGrad");
    }
    if (p.gradient() != null) {
      checkWritable(p, p.gradient());
    }
    if (group.amsgrad() && p.maxExpAvgSq() == null && p.step() > 0) {
      throw new IllegalArgumentException(
          "maxExpAvgSq of %s is missing: its group is AMSGrad and it has taken %d steps"
              .formatted(p.name(), p.step()));
    }
    if (group.amsgrad() && p.momentType() == MomentType.BLOCKWISE_8BIT) {
      throw new IllegalArgumentException(
          "moments of "
              + p.name()
              + " are BLOCKWISE_8BIT, but its group is AMSGrad, which needs FLOAT32 or BFLOAT16");
    }
  }

  private void checkWritable(Parameter p, MemorySegment gradient) {
    if (addsGradients && gradient.isReadOnly()) {
      throw new IllegalArgumentException(
          "gradient of " + p.name() + " is read-only, but the gradients of all ranks add up in it");
    }
  }

  /** Refuses arrays if one that is written overlaps another; returns those that are written. */
  private static Map<Long, Array> written(List<Array> all) {
    Map<Long, Array> written = new HashMap<>();
    List<Array> arrays = new ArrayList<>(all);
    arrays.removeIf(array -> !array.hasMemory());
    arrays.sort(Comparator.comparingLong(Array::begin));
    Array lastWritten = null;
    Array lastRead = null;
    for (Array array : arrays) {
      refuseOverlap(array, lastWritten);
      if (array.written()) {
        refuseOverlap(array, lastRead);
        written.put(array.begin(), array);
        lastWritten = array;
      } else if (lastRead == null || array.end() > lastRead.end()) {
        lastRead = array;
      }
    }
    return written;
  }

  /** Refuses a parameter that cannot join a group of the optimizer. */
  void checkAdded(Parameter p, ParameterGroup group) {
    check(p, group);
    List<Array> arrays = arrays(p);
    written(arrays);
    for (Array array : arrays) {
      checkPlace(array);
      refuseOverlapWithWritten(array);
      if (array.written()) {
        for (Parameter other : parameters) {
          refuseOverlapWithRead(array, "gradient", other, other.gradient());
          refuseOverlapWithRead(array, "anchor", other, other.anchor());
        }
      }
    }
  }

  /** Adds a parameter that has been checked, with its moments. */
  void add(Parameter p) {
    parameters.add(p);
    names.add(p.name());
    addWritten(p);
  }

  /** Refuses arrays that a place cannot step, now and whenever a gradient is replaced. */
  void checkPlace(Place place) {
    this.place = place;
    for (Parameter p : parameters) {
      for (Array array : arrays(p)) {
        checkPlace(array);
      }
    }
  }

  private void checkPlace(Array array) {
    if (!array.segment().scope().isAlive()) {
      throw new IllegalArgumentException(array.what() + " lies in an arena that is closed");
    }
    String fault = place.fault(array.segment());
    if (fault != null) {
      throw new IllegalArgumentException(array.what() + " " + fault);
    }
  }

  /**
   * Checks that this thread can use every array but the gradients.
   *
   * @throws IllegalStateException if an arena is closed
   * @throws WrongThreadException if an arena is confined to another thread
   */
  void checkAccess() {
    for (Parameter p : parameters) {
      for (Array array : arrays(p)) {
        MemorySegment segment = array.segment();
        if (segment == p.gradient()) {
          continue;
        }
        if (!segment.scope().isAlive()) {
          throw new IllegalStateException(array.what() + " lies in an arena that is closed");
        }
        if (!DeviceArena.isDevice(segment) && !segment.isAccessibleBy(Thread.currentThread())) {
          throw new WrongThreadException(
              array.what() + " lies in a confined arena of another thread");
        }
      }
    }
  }

  /** Adds the moments that the optimizer allocated: steps write them, too. */
  void addMoments() {
    parameters.forEach(this::addWritten);
  }

  private void addWritten(Parameter p) {
    for (Array array : arrays(p)) {
      if (array.written() && array.hasMemory()) {
        written.put(array.begin(), array);
      }
    }
  }

  private List<Array> arrays(Parameter p) {
    List<Array> arrays = new ArrayList<>();
    add(arrays, "data", p, p.data(), true);
    add(arrays, "low", p, p.low(), true);
    add(arrays, "gradient", p, p.gradient(), addsGradients);
    add(arrays, "anchor", p, p.anchor(), false);
    add(arrays, "expAvg", p, p.expAvg(), true);
    add(arrays, "expAvgSq", p, p.expAvgSq(), true);
    add(arrays, "maxExpAvgSq", p, p.maxExpAvgSq(), true);
    return arrays;
  }

  private static void add(
      List<Array> arrays, String array, Parameter p, MemorySegment segment, boolean written) {
    if (segment != null) {
      arrays.add(new Array(array + " of " + p.name(), segment, written));
    }
  }

  private static void refuseOverlap(Array array, Array before) {
    if (before != null && array.begin() < before.end()) {
      throw new IllegalArgumentException(array.what() + " overlaps " + before.what());
    }
  }

  /** Refuses a gradient that the place cannot step, or that overlaps an array that steps write. */
  void checkGradient(Parameter parameter, MemorySegment gradient) {
    Array array = new Array("gradient of " + parameter.name(), gradient, addsGradients);
    checkPlace(array);
    checkWritable(parameter, gradient);
    if (addsGradients) {
      replaceGradient(parameter, array);
    } else {
      refuseOverlapWithWritten(array);
    }
  }

  /** Forgets the gradient that a parameter has until now. */
  void dropGradient(Parameter parameter) {
    takeGradient(parameter);
  }

  /** Forgets the gradient that a parameter has until now; returns it if steps write it. */
  private Array takeGradient(Parameter parameter) {
    MemorySegment old = parameter.gradient();
    if (!addsGradients || old == null || old.byteSize() == 0) {
      return null; // an empty one may lie where another array begins
    }
    Array before = written.get(old.address());
    if (before == null || !before.segment().scope().equals(old.scope())) {
      return null; // another array now lies where this one was freed
    }
    return written.remove(old.address());
  }

  private void replaceGradient(Parameter parameter, Array array) {
    for (Parameter other : parameters) {
      refuseOverlapWithRead(array, "anchor", other, other.anchor());
    }
    Array before = takeGradient(parameter);
    try {
      refuseOverlapWithWritten(array);
    } catch (IllegalArgumentException e) {
      if (before != null) {
        written.put(before.begin(), before);
      }
      throw e;
    }
    if (array.hasMemory()) {
      written.put(array.begin(), array);
    }
  }

  private void refuseOverlapWithWritten(Array array) {
    if (!array.hasMemory()) {
      return;
    }
    var below = written.lowerEntry(array.end());
    while (below != null && !below.getValue().hasMemory()) {
      written.remove(below.getKey());
      below = written.lowerEntry(array.end());
    }
    refuseOverlap(array, below == null ? null : below.getValue());
  }

  private static void refuseOverlapWithRead(
      Array written, String read, Parameter p, MemorySegment segment) {
    if (segment != null && segment.address() < written.end()) {
      Array array = new Array(read + " of " + p.name(), segment, false);
      if (written.hasMemory() && array.hasMemory()) {
        refuseOverlap(written, array);
      }
    }
  }

  /** Names an array that lies in an arena, and its parameter. */
  String describe(MemorySegment.Scope scope) {
    for (Parameter p : parameters) {
      for (Array array : arrays(p)) {
        if (array.segment().scope().equals(scope)) {
          return array.what();
        }
      }
    }
    return "an array";
  }
}
