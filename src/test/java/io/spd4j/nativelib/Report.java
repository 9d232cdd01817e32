package io.spd4j.nativelib;

import java.io.IOException;

/** What NativeLibrary.spd4j() says, in a JVM or a class loader of its own. */
public final class Report {
  private Report() {}

  public static void main(String[] args) throws IOException {
    if (args.length > 0) {
      System.in.read();
    }
    System.out.println(report());
  }

  public static String report() {
    NativeLibrary library = NativeLibrary.spd4j();
    String isa = library.loaded() ? Isa.best().name() : "none";
    return library.loaded() + "\n" + isa + "\n" + library.reason();
  }
}
