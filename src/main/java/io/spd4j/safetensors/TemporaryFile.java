package io.spd4j.safetensors;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.time.Duration;
import java.time.Instant;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A file that is written beside its target and then takes the target's place. It is locked while it
 * is written. One that nobody holds locked was left behind by a process that ended, and the next
 * write in the folder deletes it.
 */
final class TemporaryFile implements Closeable {
  private static final String PREFIX = ".spd4j-";
  private static final String HERE = PREFIX + Machine.ID + "-";
  private static final String SUFFIX = ".tmp";
  private static final Set<StandardOpenOption> CREATE =
      Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
  private static final FileAttribute<?>[] PRIVATE = {Access.PRIVATE};
  private static final FileAttribute<?>[] USUAL = {};

  /**
   * How long another machine's file must not have changed to be taken for abandoned: not every
   * network folder shows the locks of other machines.
   */
  private static final Duration ELSEWHERE = Duration.ofDays(1);

  /**
   * The names of this JVM's temporary files. It must not open them again: to close any channel of a
   * file ends the JVM's locks on the file.
   */
  private static final Set<String> OWN = ConcurrentHashMap.newKeySet();

  private final Path target;
  private final String name = HERE + UUID.randomUUID() + SUFFIX;
  private final Path path;

  /** That of the target; null if there is no target yet. */
  private final Access access;

  private final FileChannel channel;

  private TemporaryFile(Path target) throws IOException {
    this.target = target;
    path = target.resolveSibling(name);
    access = Access.of(target);
    OWN.add(name);
    try {
      channel = FileChannel.open(path, CREATE, access == null ? USUAL : PRIVATE);
    } catch (IOException | RuntimeException | Error e) {
      OWN.remove(name);
      if (e instanceof NoSuchFileException) {
        throw new NoSuchFileException(target.toString(), null, "its folder does not exist");
      }
      throw e;
    }
  }

  /**
   * Creates a file in the folder of its target, and deletes those that were left behind.
   *
   * @throws FileSystemException if the target is a folder, a device or the like, or a link to one
   */
  static TemporaryFile beside(Path target) throws IOException {
    Path absolute = target.toAbsolutePath();
    RegularFile.requireIfExists(absolute);
    while (true) {
      TemporaryFile file = new TemporaryFile(absolute);
      try {
        if (file.lock()) {
          file.deleteAbandoned();
          return file;
        }
      } catch (IOException | RuntimeException | Error e) {
        try (file) {
          throw e;
        }
      }
      file.close(); // another process found it before it was locked
    }
  }

  /** Returns false if another process deleted the file, or is about to. */
  private boolean lock() throws IOException {
    try {
      if (channel.tryLock() == null) {
        return false;
      }
    } catch (IOException e) {
      return true; // a file system without locks: nobody can take the file for abandoned
    }
    return Files.exists(path);
  }

  private void deleteAbandoned() {
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(path.getParent(), PREFIX + "*" + SUFFIX)) {
      // By the clock that dates the other files, too.
      Instant old = Files.getLastModifiedTime(path).toInstant().minus(ELSEWHERE);
      for (Path file : files) {
        String name = file.getFileName().toString();
        if (!OWN.contains(name) && (name.startsWith(HERE) || isBefore(old, file))) {
          deleteIfUnlocked(file);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      // They stay.
    }
  }

  private static boolean isBefore(Instant time, Path file) {
    try {
      return Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS).toInstant().isBefore(time);
    } catch (IOException e) {
      return false; // it is gone
    }
  }

  private static void deleteIfUnlocked(Path file) {
    // A pipe would keep the opening waiting.
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS)) {
      if (channel.tryLock() != null) {
        Files.deleteIfExists(file);
      }
    } catch (IOException | OverlappingFileLockException e) {
      // It is not ours to delete, or gone.
    }
  }

  /** Writes all bytes at the end of what was written. */
  void write(ByteBuffer bytes) throws IOException {
    Uninterrupted.run(() -> {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    });
  }

  /** Writes all bytes over others. */
  void write(ByteBuffer bytes, long position) throws IOException {
    Uninterrupted.run(() -> {
      for (long at = position; bytes.hasRemaining(); ) {
        at += channel.write(bytes, at);
      }
    });
  }

  /**
   * Gives the file the target's permissions, forces it to the disk and puts it in the target's
   * place; then forces the folder.
   *
   * @param previous where the old target is kept; null to replace it
   */
  void publish(Path previous) throws IOException {
    Access now = Access.of(target);
    if (now != null || access != null) {
      (now != null ? now : access).give(path);
    }
    Uninterrupted.run(() -> channel.force(true));
    synchronized (TemporaryFile.class) {
      boolean moved = previous != null && keep(previous);
      try {
        Files.move(path, target, StandardCopyOption.ATOMIC_MOVE);
      } catch (IOException e) {
        if (moved) {
          Files.move(previous, target, StandardCopyOption.ATOMIC_MOVE);
        }
        throw e;
      }
    }
    Uninterrupted.run(() -> forceFolder(target.getParent()));
  }

  /**
   * Gives the old target a second name, so that the target exists at any moment. Returns true if it
   * has only the new name, because the disk has no links.
   */
  private boolean keep(Path previous) throws IOException {
    try {
      if (Files.readAttributes(target, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
          .isDirectory()) {
        return false; // it cannot be replaced
      }
    } catch (NoSuchFileException e) {
      return false;
    }
    try {
      Files.deleteIfExists(previous);
      Files.createLink(previous, target);
    } catch (NoSuchFileException | FileAlreadyExistsException e) {
      // Another process has just done the same.
    } catch (UnsupportedOperationException | FileSystemException e) {
      Files.move(target, previous, StandardCopyOption.ATOMIC_MOVE);
      return true;
    }
    return false;
  }

  private static void forceFolder(Path folder) throws IOException {
    FileChannel channel;
    try {
      channel = FileChannel.open(folder, StandardOpenOption.READ);
    } catch (IOException e) {
      return; // Windows does not open folders
    }
    try (channel) {
      channel.force(true);
    }
  }

  /** Deletes the file unless it was published. */
  @Override
  public void close() throws IOException {
    try (channel) {
      Files.deleteIfExists(path);
    } finally {
      OWN.remove(name);
    }
  }
}
