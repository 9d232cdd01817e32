package io.spd4j.safetensors;

import static java.util.Objects.requireNonNull;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Writes files of any content as {@link SafetensorsWriter} writes its own: the whole file appears
 * at once.
 *
 * <ul>
 *   <li>The new file is written to the same folder, forced to the disk and then moved, and the
 *       folder is forced to the disk. After an exception the old file is unchanged. (If only the
 *       last step fails, the new file is there.)
 *   <li>It has the permissions of the file that it replaces and, where the process may set them,
 *       the owner and the group; while it is written, only its owner can read it. In another group
 *       than before, the group may do no more than everybody. Access control lists are not kept.
 *   <li>A process that ends before may leave a file {@code .spd4j-*.tmp} in the folder. The next
 *       write there deletes it; if another machine left it, or this one before it was started
 *       again, once it is a day old. File locks tell which files are still written.
 *   <li>A symbolic link to a file is replaced, not followed. Folders, devices and pipes are
 *       refused, and links to them.
 *   <li>An interrupt does not end a write: the file is written to its end, and the thread is still
 *       marked as interrupted afterwards.
 *   <li>Threads and processes can write files at the same time; if two write the same file, the
 *       later one wins.
 * </ul>
 */
public final class AtomicFile {
  private static final int CHUNK_SIZE = 1 << 20;

  /** The content of a file. */
  @FunctionalInterface
  public interface Content {
    /** Writes the whole content. The stream need not be flushed or closed. */
    void write(OutputStream out) throws IOException;
  }

  private AtomicFile() {}

  /**
   * Writes a file, or replaces it.
   *
   * @param target the file; its folder must exist
   * @throws NoSuchFileException if the folder does not exist
   * @throws FileSystemException if the target is neither a file nor missing
   * @throws IOException if the file cannot be written, or by the content; then, as after any other
   *     exception of the content, the old file is unchanged
   */
  public static void write(Path target, Content content) throws IOException {
    requireNonNull(target, "target");
    requireNonNull(content, "content");
    try (TemporaryFile temporary = TemporaryFile.beside(target);
        Chunks chunks = new Chunks(temporary, CHUNK_SIZE, null)) {
      content.write(
          new FilterOutputStream(chunks) {
            @Override
            public void write(byte[] bytes, int offset, int length) throws IOException {
              out.write(bytes, offset, length);
            }

            @Override
            public void flush() {}

            @Override
            public void close() {}
          });
      chunks.flush();
      temporary.publish(null);
    }
  }
}
