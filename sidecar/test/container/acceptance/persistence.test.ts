import { persistence } from "../../../../scripts/acceptance/persistence.ts";
import { actOut } from "../../acceptance/act-out.ts";
import { ContainerStage } from "../container-stage.ts";

actOut(persistence, { open: () => ContainerStage.open() });
