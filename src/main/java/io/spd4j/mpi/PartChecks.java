package io.spd4j.mpi;

import io.spd4j.cuda.DeviceArena;
import io.spd4j.nativelib.OffHeap;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Checks the memory and the ranks that a collective is given. */
final class PartChecks {
  /** Memory with its name in messages. */
  private record Used(Part part, boolean written) {
    long begin() {
      return part.data().address();
    }

    long end() {
      return part.data().address() + part.data().byteSize();
    }

    @Override
    public String toString() {
      return (written ? "what is received from rank " : "what is sent to rank ") + part.rank();
    }
  }

  private PartChecks() {}

  static void checkRank(String name, int rank, int size) {
    if (rank < 0 || rank >= size) {
      throw new IllegalArgumentException(
          "%s is %d, but the ranks are 0 to %d".formatted(name, rank, size - 1));
    }
  }

  /** Refuses memory that cannot be used; and memory that is received into and used otherwise. */
  static void check(List<Part> sends, List<Part> receives, int size) {
    List<Used> used = new ArrayList<>();
    sends.forEach(part -> used.add(new Used(part, false)));
    receives.forEach(part -> used.add(new Used(part, true)));
    for (Used one : used) {
      checkRank("the rank of a part", one.part().rank(), size);
      MemorySegment data = one.part().data();
      String fault = OffHeap.fault(data, 1, one.written());
      if (fault == null && DeviceArena.isDevice(data)) {
        fault = "lies in device memory: copy it to host memory";
      }
      if (fault != null) {
        throw new IllegalArgumentException(one + " " + fault);
      }
      if (!data.isAccessibleBy(Thread.currentThread())) {
        throw new WrongThreadException(one + " lies in a confined arena of another thread");
      }
    }
    refuseOverlaps(used);
  }

  private static void refuseOverlaps(List<Used> used) {
    used.removeIf(one -> one.begin() == one.end());
    used.sort(Comparator.comparingLong(Used::begin));
    Used written = null;
    Used last = null;
    for (Used one : used) {
      Used before = one.written() ? last : written;
      if (before != null && one.begin() < before.end()) {
        throw new IllegalArgumentException(one + " overlaps " + before);
      }
      if (one.written()) {
        written = one;
      }
      if (last == null || one.end() > last.end()) {
        last = one;
      }
    }
  }

  /** Checks what a rank sends to itself. */
  static void checkSame(List<Part> sends, List<Part> receives) {
    if (sends.size() != receives.size()) {
      throw new IllegalArgumentException(
          "%d parts are sent to this rank by itself, but %d are received"
              .formatted(sends.size(), receives.size()));
    }
    for (int i = 0; i < sends.size(); i++) {
      long sent = sends.get(i).data().byteSize();
      long received = receives.get(i).data().byteSize();
      if (sent != received) {
        throw new IllegalArgumentException(
            "%d bytes are sent to this rank by itself, but %d are received"
                .formatted(sent, received));
      }
    }
  }
}
