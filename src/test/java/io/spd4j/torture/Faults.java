package io.spd4j.torture;

import java.util.LinkedHashSet;
import java.util.Set;

/** What is wrong with a call, as the model sees it: the call throws for one of these reasons. */
final class Faults {
  private final Set<Class<? extends Throwable>> thrown = new LinkedHashSet<>();

  Faults illegalArgument(boolean present) {
    return add(IllegalArgumentException.class, present);
  }

  Faults illegalState(boolean present) {
    return add(IllegalStateException.class, present);
  }

  Faults nullPointer(boolean present) {
    return add(NullPointerException.class, present);
  }

  Faults wrongThread(boolean present) {
    return add(WrongThreadException.class, present);
  }

  Faults add(Class<? extends Throwable> type, boolean present) {
    if (present) {
      thrown.add(type);
    }
    return this;
  }

  boolean none() {
    return thrown.isEmpty();
  }

  /** Returns whether this is as expected: null if nothing is wrong, else one of the exceptions. */
  boolean expect(Throwable e) {
    return e == null
        ? none()
        : thrown.contains(e.getClass()) && e.getMessage() != null && !e.getMessage().isBlank();
  }

  @Override
  public String toString() {
    return none() ? "nothing" : "one of " + thrown;
  }
}
