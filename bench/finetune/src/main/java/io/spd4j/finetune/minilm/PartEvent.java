package io.spd4j.finetune.minilm;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A part of a training step that is no operation of oneDNN's, for Flight Recorder. */
@Name(PartEvent.NAME)
@Label("Part of a Step")
@Category("spd4j")
@StackTrace(false)
public final class PartEvent extends Event {
  /** What recordings call it. */
  public static final String NAME = "io.spd4j.bench.Part";

  @Label("Part")
  private final String part;

  private PartEvent(String part) {
    this.part = part;
  }

  /** Begins now; {@link #commit} ends it. */
  public static PartEvent begin(String part) {
    PartEvent event = new PartEvent(part);
    event.begin();
    return event;
  }
}
