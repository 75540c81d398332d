/* Stands for engage-host.exe where the installer's failures are tried: it writes to C:\calls\log how it is called, remembers by files there
 * whether the service is installed and runs, and fails at the one command that C:\calls\fail names. */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static int is_there(const char *path) { return GetFileAttributesA(path) != INVALID_FILE_ATTRIBUTES; }

static int make(const char *path) {
    FILE *file = fopen(path, "w");
    return file ? fclose(file) : 1;
}

static int is_to_fail(const char *command) {
    char named[256] = "";
    FILE *file = fopen("C:\\calls\\fail", "r");
    if (file) {
        if (!fgets(named, sizeof named, file)) named[0] = 0;
        fclose(file);
    }
    return !strcmp(named, command);
}

int main(int count, char **arguments) {
    char command[256] = "";
    for (int it = 1; it < count; it++) {
        if (it > 1) strcat(command, " ");
        strncat(command, arguments[it], sizeof command - strlen(command) - 2);
    }
    FILE *log = fopen("C:\\calls\\log", "a");
    if (log) {
        fprintf(log, "%s\n", command);
        fclose(log);
    }
    if (is_to_fail(command)) return 1;
    if (!strcmp(command, "wait")) {
        make("C:\\calls\\waits");
        Sleep(INFINITE);
    } else if (!strcmp(command, "init --system")) {
        CreateDirectoryA("C:\\ProgramData\\engage-host", NULL);
        return make("C:\\ProgramData\\engage-host\\config.toml");
    } else if (!strcmp(command, "service install --firewall")) {
        return make("C:\\calls\\installed");
    } else if (!strcmp(command, "service start")) {
        return make("C:\\calls\\running");
    } else if (!strcmp(command, "service stop")) {
        return !DeleteFileA("C:\\calls\\running");
    } else if (!strcmp(command, "service uninstall")) {
        DeleteFileA("C:\\calls\\running");
        return !DeleteFileA("C:\\calls\\installed");
    } else if (!strcmp(command, "service status --json")) {
        printf("{\n  \"installed\": %s\n}\n", is_there("C:\\calls\\installed") ? "true" : "false");
    }
    return !is_there("C:\\calls\\running");
}
