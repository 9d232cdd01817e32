package io.spd4j;

import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.DeviceArena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;

/**
 * Holds an optimizer's parameters against each other: names are unique, and an array that a step
 * writes overlaps no other array. Arrays that are only read may overlap.
 */
final class WrittenMemory {
  private record Array(String what, MemorySegment segment, boolean written) {
    long begin() {
      return segment.address();
    }

    long end() {
      return segment.address() + segment.byteSize();
    }
  }

  private final Parameter[] parameters;

  /** The written arrays by their first address. */
  private final TreeMap<Long, Array> written = new TreeMap<>();

  /**
   * @param parameters those of the groups
   */
  WrittenMemory(Parameter[] parameters, ParameterGroup[] groups) {
    this.parameters = parameters;
    Set<String> names = new HashSet<>();
    List<Array> arrays = new ArrayList<>();
    for (ParameterGroup group : groups) {
      for (Parameter p : group.parameters()) {
        if (p.owner() != null) {
          throw new IllegalArgumentException(
              p.name() + " belongs to another optimizer: build a new Parameter over its arrays");
        }
        if (!names.add(p.name())) {
          throw new IllegalArgumentException("two parameters are named " + p.name());
        }
        if (p.maxExpAvgSq() != null && !group.amsgrad()) {
          throw new IllegalArgumentException(
              "maxExpAvgSq of " + p.name() + " is given, but its group is not AMSGrad");
        }
        arrays.addAll(arrays(p));
      }
    }
    arrays.removeIf(array -> array.segment().byteSize() == 0);
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
  }

  /**
   * Refuses arrays that a backend cannot step.
   *
   * @param device whose memory they have to be; null: the host's
   */
  void checkPlace(CudaDevice device) {
    for (Parameter p : parameters) {
      for (Array array : arrays(p)) {
        checkPlace(array.what(), array.segment(), device);
      }
    }
  }

  private static void checkPlace(String what, MemorySegment segment, CudaDevice device) {
    if (!segment.scope().isAlive()) {
      throw new IllegalArgumentException(what + " lies in an arena that is closed");
    }
    boolean onDevice = DeviceArena.isDevice(segment);
    if (device == null && onDevice) {
      throw new IllegalArgumentException(
          what + " lies in device memory, which only the backend cuda steps");
    }
    if (device != null && !onDevice) {
      throw new IllegalArgumentException(
          what + " lies in host memory: the backend cuda needs memory of a DeviceArena");
    }
    if (onDevice && CudaDevice.of(segment) != device) {
      throw new IllegalArgumentException(
          what + " lies on " + CudaDevice.of(segment) + ", the stream belongs to " + device);
    }
  }

  /** The moments that the optimizer allocated are written, too. */
  void addMoments() {
    for (Parameter p : parameters) {
      for (Array array : arrays(p)) {
        if (array.written() && array.segment().byteSize() > 0) {
          written.put(array.begin(), array);
        }
      }
    }
  }

  private static List<Array> arrays(Parameter p) {
    List<Array> arrays = new ArrayList<>();
    add(arrays, "data", p, p.data(), true);
    add(arrays, "gradient", p, p.gradient(), false);
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

  /** Refuses a gradient that a backend cannot step, or that overlaps what a step writes. */
  void checkGradient(Parameter parameter, MemorySegment gradient, CudaDevice device) {
    checkPlace("gradient of " + parameter.name(), gradient, device);
    if (gradient.byteSize() > 0) {
      Array array = new Array("gradient of " + parameter.name(), gradient, false);
      var below = written.lowerEntry(array.end());
      if (below != null) {
        refuseOverlap(array, below.getValue());
      }
    }
  }

  /** An array that lies in an arena, and whose it is. */
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
