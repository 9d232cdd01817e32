package io.spd4j;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.function.Function;
import java.util.zip.CRC32C;

/**
 * Makes sure that all ranks build the same optimizer: each method throws an {@link
 * IllegalStateException} on every rank if they do not.
 */
final class SameOnRanks {
  /** Bytes of an array that are hashed at once. */
  private static final long STRETCH = 1 << 24;

  private SameOnRanks() {}

  static void requireSameShapes(Ranks ranks, ParameterGroup[] groups) {
    require(ranks, "the version of spd4j", Diagnostics.version());
    StringBuilder text = new StringBuilder();
    for (ParameterGroup group : groups) {
      text.append("group ").append(group.amsgrad()).append('\n');
      for (Parameter p : group.parameters()) {
        text.append(p.name().length()).append(' ').append(p.name()).append(' ');
        text.append(p.numel()).append(' ').append(p.types()).append(' ');
        text.append(p.low() != null).append(p.anchor() != null).append('\n');
      }
    }
    require(ranks, "the parameters' names, order, sizes or types", text);
  }

  static void requireSameSettings(Ranks ranks, ParameterGroup[] groups, long seed) {
    StringBuilder text = new StringBuilder().append(seed);
    StringBuilder steps = new StringBuilder();
    for (ParameterGroup group : groups) {
      text.append('\n').append(group.settings());
      group.parameters().forEach(p -> steps.append(p.step()).append('\n'));
    }
    require(ranks, "the settings of the groups or the seed", text);
    require(ranks, "the parameters' step counts: restore the same checkpoint", steps);
  }

  /** Reads each value once. */
  static void requireSameValues(Ranks ranks, List<Parameter> parameters) {
    require(ranks, "the values of the parameters", crc(parameters, Parameter::data));
    require(ranks, "the low halves of the parameters", crc(parameters, Parameter::low));
    require(ranks, "the values of the anchors", crc(parameters, Parameter::anchor));
  }

  private static StringBuilder crc(
      List<Parameter> parameters, Function<Parameter, MemorySegment> array) {
    StringBuilder text = new StringBuilder();
    for (Parameter p : parameters) {
      MemorySegment segment = array.apply(p);
      text.append(segment == null ? "none" : crc(segment)).append('\n');
    }
    return text;
  }

  private static String crc(MemorySegment segment) {
    CRC32C crc = new CRC32C();
    for (long at = 0; at < segment.byteSize(); at += STRETCH) {
      long bytes = Math.min(STRETCH, segment.byteSize() - at);
      crc.update(segment.asSlice(at, bytes).asByteBuffer());
    }
    return Long.toHexString(crc.getValue());
  }

  private static void require(Ranks ranks, String what, CharSequence text) {
    try {
      byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
      ranks.requireSame(what, MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
    }
  }
}
