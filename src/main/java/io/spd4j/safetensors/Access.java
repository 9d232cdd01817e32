package io.spd4j.safetensors;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.EnumSet;
import java.util.Set;

/** Who owns a file, and who may read and write it. */
record Access(UserPrincipal owner, GroupPrincipal group, Set<PosixFilePermission> permissions) {
  /** Lets only the owner read and write a new file. */
  static final FileAttribute<Set<PosixFilePermission>> PRIVATE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  /** Returns null if there is no such file, or its file system has no POSIX permissions. */
  static Access of(Path file) throws IOException {
    try {
      PosixFileAttributes a = Files.readAttributes(file, PosixFileAttributes.class);
      return new Access(a.owner(), a.group(), a.permissions());
    } catch (NoSuchFileException | UnsupportedOperationException e) {
      return null;
    }
  }

  /**
   * Gives a file these permissions and, where the process may, this owner and group. Another group
   * gets no more than everybody.
   */
  void give(Path file) throws IOException {
    Access now = of(file);
    if (now == null) {
      throw new NoSuchFileException(file.toString(), null, "it was deleted while it was written");
    }
    if (equals(now)) {
      return;
    }
    PosixFileAttributeView view = Files.getFileAttributeView(file, PosixFileAttributeView.class);
    Set<PosixFilePermission> given = EnumSet.noneOf(PosixFilePermission.class);
    given.addAll(permissions);
    if (!group.equals(now.group) && !isDone(() -> view.setGroup(group))) {
      retainIf(given, PosixFilePermission.GROUP_READ, PosixFilePermission.OTHERS_READ);
      retainIf(given, PosixFilePermission.GROUP_WRITE, PosixFilePermission.OTHERS_WRITE);
      retainIf(given, PosixFilePermission.GROUP_EXECUTE, PosixFilePermission.OTHERS_EXECUTE);
    }
    if (!given.equals(now.permissions)) {
      view.setPermissions(given);
    }
    if (!owner.equals(now.owner)) {
      isDone(() -> view.setOwner(owner)); // last: afterwards only root may change the permissions
    }
  }

  private static void retainIf(
      Set<PosixFilePermission> given, PosixFilePermission permission, PosixFilePermission other) {
    if (!given.contains(other)) {
      given.remove(permission);
    }
  }

  private static boolean isDone(Uninterrupted.Action action) {
    try {
      action.run();
      return true;
    } catch (IOException e) {
      return false;
    }
  }
}
