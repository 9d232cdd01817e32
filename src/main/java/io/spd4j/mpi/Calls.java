package io.spd4j.mpi;

import io.spd4j.generated.mpi.mpi_h;
import io.spd4j.nativelib.MpiAbi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * MPI's functions. A code other than 0 becomes an {@link MpiException} with MPI's own text. Not
 * thread-safe: its owner calls one at a time.
 */
final class Calls {
  /** Enough for MPI_Status and MPI_MAX_ERROR_STRING of every implementation. */
  private static final int STATUS_BYTES = 64;

  private static final int TEXT_BYTES = 8192;

  private final MpiAbi abi;
  private final SegmentAllocator memory;
  private final MemorySegment number;
  private final MemorySegment status;
  private final MemorySegment text;

  /** Before, MPI ends a process that asks it for a text. */
  private boolean running;

  private final Deque<MemorySegment> freeRequests = new ArrayDeque<>();

  Calls(MpiAbi abi, Arena arena) {
    this.abi = abi;
    memory = arena;
    number = arena.allocate(ValueLayout.JAVA_INT);
    status = arena.allocate(STATUS_BYTES, Long.BYTES);
    text = arena.allocate(TEXT_BYTES);
  }

  boolean initialized() {
    check("MPI_Initialized", mpi_h.MPI_Initialized(number));
    return number() != 0;
  }

  /** Starts MPI and has it return errors instead of ending the process. */
  void init() {
    check(
        "MPI_Init_thread",
        mpi_h.MPI_Init_thread(
            MemorySegment.NULL, MemorySegment.NULL, MpiAbi.THREAD_SERIALIZED, number));
    running = true;
    int provided = number();
    if (provided < MpiAbi.THREAD_SERIALIZED) {
      throw new MpiException(
          "MPI_Init_thread: %s gives thread level %d, but %d is needed"
              .formatted(abi.name(), provided, MpiAbi.THREAD_SERIALIZED));
    }
    returnErrors(abi.world());
    returnErrors(abi.self()); // errors that belong to no communicator go to it since MPI 4
  }

  private void returnErrors(MemorySegment communicator) {
    check(
        "MPI_Comm_set_errhandler", mpi_h.MPI_Comm_set_errhandler(communicator, abi.errorsReturn()));
  }

  /** Ends MPI. */
  void finish() {
    check("MPI_Finalize", mpi_h.MPI_Finalize());
  }

  /** Ends the processes of all ranks. May not return. */
  void abort() {
    mpi_h.MPI_Abort(abi.world(), 1);
  }

  /** Returns a communicator of all ranks in which only our messages are. */
  MemorySegment duplicateWorld() {
    MemorySegment duplicate = memory.allocate(ValueLayout.JAVA_LONG);
    check("MPI_Comm_dup", mpi_h.MPI_Comm_dup(abi.world(), duplicate));
    MemorySegment communicator = MemorySegment.ofAddress(duplicate.get(ValueLayout.JAVA_LONG, 0));
    returnErrors(communicator);
    return communicator;
  }

  int rank() {
    check("MPI_Comm_rank", mpi_h.MPI_Comm_rank(abi.world(), number));
    return number();
  }

  int size() {
    check("MPI_Comm_size", mpi_h.MPI_Comm_size(abi.world(), number));
    return number();
  }

  private int number() {
    return number.get(ValueLayout.JAVA_INT, 0);
  }

  /** Returns memory for a request, which {@link #release} takes back. */
  MemorySegment request() {
    MemorySegment request = freeRequests.poll();
    if (request == null) {
      request = memory.allocate(ValueLayout.JAVA_LONG);
    }
    request.set(ValueLayout.JAVA_LONG, 0, 0); // MPICH writes only half of it
    return request;
  }

  void release(MemorySegment request) {
    freeRequests.push(request);
  }

  void send(
      long address, int bytes, int to, int tag, MemorySegment communicator, MemorySegment request) {
    check(
        "MPI_Isend",
        mpi_h.MPI_Isend(
            MemorySegment.ofAddress(address), bytes, abi.bytes(), to, tag, communicator, request));
  }

  void receive(
      long address,
      int bytes,
      int from,
      int tag,
      MemorySegment communicator,
      MemorySegment request) {
    check(
        "MPI_Irecv",
        mpi_h.MPI_Irecv(
            MemorySegment.ofAddress(address),
            bytes,
            abi.bytes(),
            from,
            tag,
            communicator,
            request));
  }

  /** Receives from any rank, with any tag. */
  void receiveAny(MemorySegment buffer, MemorySegment communicator, MemorySegment request) {
    int bytes = Math.toIntExact(buffer.byteSize());
    receive(buffer.address(), bytes, abi.anySource(), MpiAbi.ANY_TAG, communicator, request);
  }

  /** Moves data; returns whether a request is complete. Then MPI has freed it. */
  boolean test(MemorySegment request) {
    check("MPI_Test", mpi_h.MPI_Test(request, number, status));
    return number() != 0;
  }

  /** Returns how many bytes arrived for the receive that {@link #test} has just completed. */
  int received() {
    check("MPI_Get_count", mpi_h.MPI_Get_count(status, abi.bytes(), number));
    return number();
  }

  /** Asks MPI to give up a receive. {@link #test} says when it has, or has completed it. */
  void cancel(MemorySegment request) {
    if (request.get(ValueLayout.JAVA_LONG, 0) != abi.requestNull()) {
      check("MPI_Cancel", mpi_h.MPI_Cancel(request));
    }
  }

  private void check(String call, int code) {
    if (code != 0) {
      boolean known = running && mpi_h.MPI_Error_string(code, text, number) == 0;
      throw new MpiException(call + ": " + (known ? text.getString(0) : "error " + code));
    }
  }
}
