package io.spd4j.safetensors;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * Runs file operations on a thread of their own. An interrupt of a thread that uses a channel
 * closes the channel; this way it leaves the file to be finished, and the caller's flag set.
 */
final class Uninterrupted {
  interface Action {
    void run() throws IOException;
  }

  private Uninterrupted() {}

  static void run(Action action) throws IOException {
    CompletableFuture<Void> done = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .name("spd4j file")
        .start(() -> {
          try {
            action.run();
            done.complete(null);
          } catch (Throwable e) { // the caller throws it
            done.completeExceptionally(e);
          }
        });
    try {
      done.join(); // not ended by an interrupt
    } catch (CompletionException e) {
      switch (e.getCause()) {
        case IOException cause -> throw cause;
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw e;
      }
    }
  }
}
