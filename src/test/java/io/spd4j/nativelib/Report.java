package io.spd4j.nativelib;

import io.spd4j.onednn.OneDnn;
import java.io.IOException;

/**
 * Reports what NativeLibrary.spd4j() returns in a separate JVM or class loader; with
 * -Dreport.cuda=true NativeLibrary.cuda(), with -Dreport.mpi=true NativeLibrary.mpi(), with
 * -Dreport.onednn=true OneDnn.
 */
public final class Report {
  private Report() {}

  public static void main(String[] args) throws IOException {
    if (args.length > 0) {
      System.in.read();
    }
    System.out.println(report());
  }

  public static String report() {
    if (Boolean.getBoolean("report.cuda")) {
      NativeLibrary library = NativeLibrary.cuda();
      return library.loaded() + "\ncuda\n" + library.reason();
    }
    if (Boolean.getBoolean("report.mpi")) {
      NativeLibrary library = NativeLibrary.mpi();
      return library.loaded() + "\nmpi\n" + library.reason();
    }
    return Boolean.getBoolean("report.onednn") ? oneDnn() : spd4j();
  }

  private static String oneDnn() {
    OneDnn.Availability availability = OneDnn.availability();
    String opened;
    try (OneDnn oneDnn = OneDnn.open(1)) {
      opened = oneDnn.gelu(1).getClass().getSimpleName();
    } catch (IllegalStateException e) {
      opened = e.getMessage();
    }
    return availability.available() + "\n" + opened + "\n" + availability.reason();
  }

  private static String spd4j() {
    NativeLibrary library = NativeLibrary.spd4j();
    String isa = library.loaded() ? Isa.best().name() : "none";
    return library.loaded() + "\n" + isa + "\n" + library.reason();
  }
}
