package io.spd4j.bench.peers;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.bench.contest.Contestant;
import io.spd4j.bench.contest.Server;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URISyntaxException;
import java.nio.file.Path;

/** Runs one of the peers as a contestant on standard input and output. */
final class PeerMain {
  private PeerMain() {}

  /** Takes the peer's name as its argument. */
  public static void main(String[] args) throws IOException, URISyntaxException {
    PrintStream out = System.out;
    System.setOut(System.err); // keeps the peers' logs out of the answers
    unpackHere();
    Contestant peer =
        switch (args.length == 1 ? args[0] : "") {
          case "djl-adam" -> new DjlAdam();
          case "libtorch-fused" -> new LibtorchFused();
          case "nd4j-adam" -> new Nd4jAdam();
          default ->
              throw new IllegalArgumentException("name djl-adam, libtorch-fused or nd4j-adam");
        };
    Server.serve(peer, new BufferedReader(new InputStreamReader(System.in, UTF_8)), out);
  }

  /**
   * Makes the peers unpack their hundreds of megabytes of native libraries here instead of in the
   * home folder.
   */
  private static void unpackHere() throws URISyntaxException {
    Path classes =
        Path.of(PeerMain.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    String cache = classes.resolveSibling("cache").toString();
    System.setProperty("DJL_CACHE_DIR", cache);
    System.setProperty("org.bytedeco.javacpp.cachedir", cache);
  }
}
