package io.spd4j.nativelib;

/** Tells whether this JVM has Flight Recorder: a runtime image may lack its module, jdk.jfr. */
public final class FlightRecorder {
  private static final boolean AVAILABLE =
      ModuleLayer.boot()
          .findModule("jdk.jfr")
          .filter(FlightRecorder.class.getModule()::canRead)
          .isPresent();

  private FlightRecorder() {}

  /** Returns whether event classes can be loaded. */
  public static boolean available() {
    return AVAILABLE;
  }
}
