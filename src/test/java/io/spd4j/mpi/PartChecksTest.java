package io.spd4j.mpi;

import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The arguments of collectives. */
class PartChecksTest {
  private static final int SIZE = 3;

  private final Arena arena = Arena.ofShared();
  private final MemorySegment data = arena.allocate(100);

  @AfterEach
  void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }

  private Part part(int rank, long begin, long end) {
    return new Part(rank, data.asSlice(begin, end - begin));
  }

  private static void refused(List<Part> sends, List<Part> receives, String message) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PartChecks.check(sends, receives, SIZE))
        .withMessage(message);
  }

  @Test
  void memoryThatTouchesIsAccepted() {
    Part a = part(0, 0, 10);
    Part b = part(1, 10, 20);
    Part c = part(2, 20, 30);
    PartChecks.check(List.of(a, c), List.of(b), SIZE);
    PartChecks.check(List.of(), List.of(c, a, b), SIZE);
    PartChecks.check(List.of(b), List.of(part(0, 15, 15), part(0, 5, 5), a), SIZE);
  }

  @Test
  void theSameCanBeSentTwice() {
    Part all = part(0, 0, 100);
    PartChecks.check(List.of(all, part(1, 0, 100), part(2, 50, 60)), List.of(), SIZE);
  }

  @Test
  void whatIsReceivedOverlapsNothing() {
    String overlaps = "what is received from rank 1 overlaps what is ";
    Part receive = part(1, 10, 20);
    refused(List.of(part(2, 0, 11)), List.of(receive), overlaps + "sent to rank 2");
    refused(List.of(part(0, 5, 40), part(2, 6, 8)), List.of(receive), overlaps + "sent to rank 0");
    refused(List.of(), List.of(receive, part(2, 0, 11)), overlaps + "received from rank 2");
    refused(
        List.of(part(2, 19, 30)),
        List.of(receive),
        "what is sent to rank 2 overlaps what is received from rank 1");
    refused(
        List.of(part(2, 12, 13)),
        List.of(receive),
        "what is sent to rank 2 overlaps what is received from rank 1");
  }

  @Test
  void ranksMustExist() {
    refused(List.of(part(3, 0, 1)), List.of(), "the rank of a part is 3, but the ranks are 0 to 2");
    refused(
        List.of(), List.of(part(-1, 0, 1)), "the rank of a part is -1, but the ranks are 0 to 2");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PartChecks.checkRank("root", 3, SIZE))
        .withMessage("root is 3, but the ranks are 0 to 2");
  }

  @Test
  void memoryMustBeUsable() {
    Part heap = new Part(1, MemorySegment.ofArray(new byte[8]));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PartChecks.check(List.of(heap), List.of(), SIZE))
        .withMessageStartingWith("what is sent to rank 1 lies on the Java heap: ");
    Part constant = new Part(1, data.asReadOnly());
    PartChecks.check(List.of(constant), List.of(), SIZE);
    refused(
        List.of(), List.of(constant), "what is received from rank 1 is read-only, but is written");
    arena.close();
    refused(
        List.of(new Part(1, data)),
        List.of(),
        "what is sent to rank 1 lies in an arena that is closed");
    assertThatNullPointerException()
        .isThrownBy(() -> new Part(1, null))
        .withMessage("data is null");
  }

  @Test
  void confinedMemoryOfAnotherThreadIsRefused() throws InterruptedException {
    MemorySegment[] confined = new MemorySegment[1];
    Thread other = Thread.ofPlatform().start(() -> confined[0] = Arena.ofConfined().allocate(8));
    other.join();
    assertThatThrownBy(() -> PartChecks.check(List.of(new Part(1, confined[0])), List.of(), SIZE))
        .isInstanceOf(WrongThreadException.class)
        .hasMessage("what is sent to rank 1 lies in a confined arena of another thread");
  }

  @Test
  void whatARankSendsToItselfMustFit() {
    Part ten = part(0, 0, 10);
    PartChecks.checkSame(List.of(ten), List.of(part(0, 20, 30)));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PartChecks.checkSame(List.of(ten), List.of()))
        .withMessage("1 parts are sent to this rank by itself, but 0 are received");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PartChecks.checkSame(List.of(ten), List.of(part(0, 20, 31))))
        .withMessage("10 bytes are sent to this rank by itself, but 11 are received");
  }
}
