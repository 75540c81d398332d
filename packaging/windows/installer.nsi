; The installer: program and documents for the whole computer, the service, the firewall rule.
; packaging/windows/installer calls makensis with VERSION, FILE_VERSION, STAGE, OUT and, where it is to be
; signed, SIGN: a command that signs the file that is its last argument.
Unicode true
Target amd64-unicode
!include LogicLib.nsh
!include StrFunc.nsh
!include WinVer.nsh
${Using:StrFunc} UnStrStr

Name "engage-host ${VERSION}"
OutFile "${OUT}"
InstallDir "$PROGRAMFILES64\engage-host"
RequestExecutionLevel admin
; A file that cannot be written is a failure, also for `/S`, which would leave it out.
AllowSkipFiles off
SetCompressor /SOLID lzma
ShowInstDetails show
ShowUninstDetails show
!ifdef SIGN
  !finalize '${SIGN} "%1"'
  !uninstfinalize '${SIGN} "%1"'
!endif

VIProductVersion "${FILE_VERSION}"
VIAddVersionKey ProductName "engage-host"
VIAddVersionKey ProductVersion "${VERSION}"
VIAddVersionKey FileVersion "${VERSION}"
VIAddVersionKey FileDescription "Installer of engage-host, certificates for Schlage ENGAGE Wi-Fi devices"
VIAddVersionKey LegalCopyright "the engage-host authors; MIT or Apache-2.0"

!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\engage-host"

Page directory
Page instfiles
UninstPage uninstConfirm
UninstPage instfiles

; Whether it runs, and this has stopped it or not.
Var wasRunning
Var hasStarted
; Set while a service that this has stopped has to run again, whatever comes of the installation.
Var mustStart

; Runs engage-host with arguments.
!macro engageHost un arguments
  Push '${arguments}'
  Call "${un}engageHost"
!macroend

!macro failOn un what
  ${If} $0 != 0
    DetailPrint "failed: ${what}; exit code $0"
    Push "engage-host could not ${what}: the lines above say why"
    Call ${un}fail
  ${EndIf}
!macroend

Function .onInit
  SetRegView 64
  SetShellVarContext all
  ; On 32 bits this very program does not start.
  ${IfNot} ${AtLeastWin10}
    SetErrorLevel 2
    MessageBox MB_ICONSTOP "engage-host needs a 64-bit Windows 10, Windows Server 2016 or later." /SD IDOK
    Abort
  ${EndIf}
  ; An upgrade goes where it was.
  ReadRegStr $0 HKLM "${UNINSTALL}" InstallLocation
  ${If} $0 != ""
    StrCpy $INSTDIR $0
  ${EndIf}
FunctionEnd

; A file that could not be written, too.
Function .onInstFailed
  Call startAgain
FunctionEnd

Function fail
  Call startAgain
  SetErrorLevel 2
  Pop $1
  Abort $1
FunctionEnd

; A door must not wait for a person. Where it does not start, the next installation starts it.
Function startAgain
  ${If} $mustStart == 1
    StrCpy $mustStart 0
    DetailPrint "the service ran before, and is started again"
    !insertmacro engageHost "" "service start"
    ${If} $0 == 0
      WriteRegDWORD HKLM "${UNINSTALL}" HasStarted 1
    ${EndIf}
  ${EndIf}
FunctionEnd

Function un.fail
  SetErrorLevel 2
  Pop $1
  Abort $1
FunctionEnd

Function un.onInit
  SetRegView 64
  SetShellVarContext all
FunctionEnd

!macro functions un
  ; Runs engage-host with the arguments on the stack; leaves the exit code in $0.
  Function ${un}engageHost
    Pop $1
    DetailPrint "engage-host $1"
    nsExec::ExecToLog '"$INSTDIR\engage-host.exe" $1'
    Pop $0
  FunctionEnd
!macroend
!insertmacro functions ""
!insertmacro functions "un."

Section "engage-host"
  ; 1 once an installation has come to its end.
  ReadRegDWORD $hasStarted HKLM "${UNINSTALL}" HasStarted
  StrCpy $wasRunning 0
  ${If} ${FileExists} "$INSTDIR\engage-host.exe"
    !insertmacro engageHost "" "service status"
    ${If} $0 == 0
      StrCpy $wasRunning 1
      ; Before it is asked to stop: it does so too if that takes longer than is waited for.
      StrCpy $mustStart 1
      WriteRegDWORD HKLM "${UNINSTALL}" HasStarted 0
      !insertmacro engageHost "" "service stop"
      !insertmacro failOn "" "stop the service"
    ${EndIf}
  ${EndIf}

  SetOutPath $INSTDIR
  ; A program that still runs cannot be replaced: say so, and change nothing.
  ClearErrors
  SetOverwrite try
  File "${STAGE}/engage-host.exe"
  ${If} ${Errors}
    Push "engage-host.exe is in use: close the consoles in which it runs, then run this again"
    Call fail
  ${EndIf}
  SetOverwrite on
  File /r /x engage-host.exe "${STAGE}/*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKLM "${UNINSTALL}" DisplayName "engage-host"
  WriteRegStr HKLM "${UNINSTALL}" DisplayVersion "${VERSION}"
  WriteRegStr HKLM "${UNINSTALL}" Publisher "the engage-host authors"
  WriteRegStr HKLM "${UNINSTALL}" InstallLocation "$INSTDIR"
  WriteRegStr HKLM "${UNINSTALL}" UninstallString '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKLM "${UNINSTALL}" QuietUninstallString '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKLM "${UNINSTALL}" NoModify 1
  WriteRegDWORD HKLM "${UNINSTALL}" NoRepair 1

  ; Keys and configuration that are there are never touched; a service that is there may have them elsewhere.
  ReadRegStr $0 HKLM "SYSTEM\CurrentControlSet\Services\engage-host" ImagePath
  ${If} $0 == ""
  ${AndIfNot} ${FileExists} "$APPDATA\engage-host\config.toml"
    !insertmacro engageHost "" "init --system"
    !insertmacro failOn "" "make keys and a configuration"
  ${EndIf}
  !insertmacro engageHost "" "service install --firewall"
  !insertmacro failOn "" "install the service"
  ; One that was stopped by hand stays so; an installation that failed is completed.
  ${If} $hasStarted != 1
  ${OrIf} $wasRunning == 1
    StrCpy $mustStart 0
    !insertmacro engageHost "" "service start"
    !insertmacro failOn "" "start the service"
    WriteRegDWORD HKLM "${UNINSTALL}" HasStarted 1
  ${EndIf}
  DetailPrint "Configuration, keys, records and logs: $APPDATA\engage-host"
SectionEnd

Section "Uninstall"
  ; Without the program there is nobody to ask.
  ${If} ${FileExists} "$INSTDIR\engage-host.exe"
    !insertmacro engageHost "un." "service uninstall"
    ${If} $0 != 0
      ; One that is not there need not be removed.
      nsExec::ExecToStack '"$INSTDIR\engage-host.exe" service status --json'
      Pop $1
      Pop $1
      ${UnStrStr} $1 $1 '"installed": false'
      ${If} $1 != ""
        StrCpy $0 0
      ${EndIf}
    ${EndIf}
    !insertmacro failOn "un." "remove the service"
  ${EndIf}
  RMDir /r "$INSTDIR\docs"
  RMDir /r "$INSTDIR\packaging"
  Delete "$INSTDIR\*.md"
  Delete "$INSTDIR\LICENSE-*"
  Delete "$INSTDIR\THIRD-PARTY.txt"
  Delete "$INSTDIR\sbom.cdx.json"
  Delete "$INSTDIR\engage-host.exe"
  Delete "$INSTDIR\uninstall.exe"
  ; Not with what others have put there.
  RMDir "$INSTDIR"
  DeleteRegKey HKLM "${UNINSTALL}"
  DetailPrint "Configuration, keys, records and logs stay: $APPDATA\engage-host"
SectionEnd
