package io.spd4j.finetune.minilm;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A Flight Recorder event for a part of a training step outside oneDNN. */
@Name(PartEvent.NAME)
@Label("Part of a Step")
@Category("spd4j")
@StackTrace(false)
public final class PartEvent extends Event {
  /** The event's name in recordings. */
  public static final String NAME = "io.spd4j.bench.Part";

  @Label("Part")
  private final String part;

  private PartEvent(String part) {
    this.part = part;
  }

  /** Begins an event, which {@link #commit} ends. */
  public static PartEvent begin(String part) {
    PartEvent event = new PartEvent(part);
    event.begin();
    return event;
  }
}
